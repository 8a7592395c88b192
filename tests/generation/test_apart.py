"""Kernels that are compiled by themselves, and called by addresses that stand in named places."""

import gc
import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emitted import BLAS, LAB, Case, same_bytes
from numba import njit, types

N, BATCH = 70, 16


def imported_anew(case: Case = BLAS) -> ModuleType:
    """Return another module of the same file: its kernels have the same places."""
    spec = importlib.util.spec_from_file_location("imported_anew", case.module.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_was_left_out_is_compiled_when_it_is_needed() -> None:
    """Training is loaded first, with nothing at the places of what it does not call."""
    X, Y, _ = BLAS.batch(N)
    runs = [("never", False), ("always", False), ("never", True), ("always", True)]

    def histories(module: Any, order: list[tuple[str, bool]]) -> dict[Any, Any]:
        found = {}
        for sparse, evaluate in order:
            params = BLAS.params()
            given = {"epochs": 2, "batch": BATCH, "eta": 0.1, "evaluate": evaluate}
            history = module.train(params, X, Y, sparse=sparse, **given)
            found[sparse, evaluate] = params, history
        return found

    first = histories(BLAS.module, runs)
    second = histories(imported_anew(), runs[::-1])
    for run in runs:
        assert same_bytes(first[run][0], second[run][0]), run
        assert first[run][1].tobytes() == second[run][1].tobytes(), run
    assert np.isnan(first[runs[0]][1]).all()
    assert not np.isnan(first[runs[2]][1][:, :2]).any()


def test_a_small_network_compiles_what_evaluates_if_it_does() -> None:
    module: Any = imported_anew(LAB)
    X, Y, _ = LAB.batch(N)
    ends, histories = [], []
    for evaluate in (False, True):
        params = LAB.params()
        given = {"epochs": 2, "batch": BATCH, "eta": 0.1, "evaluate": evaluate}
        histories.append(module.train(params, X, Y, **given))
        ends.append(params)
        assert bool(module._evaluate.overloads) is evaluate
    assert same_bytes(*ends)
    assert np.isnan(histories[0]).all()
    # before the last epoch's evaluation nothing changes the parameters any more
    assert np.isclose(histories[1][-1, 0], module.loss(ends[1], X, Y), rtol=1e-12)


def test_a_call_with_other_types_is_refused() -> None:
    """The call would take what is in registers for something else, and end the process."""
    module: Any = imported_anew()
    module._agree(module._step, types.none, types.int64)
    module._agree(module._step, types.none, types.int64)
    for kinds in ((types.none, types.float64), (types.float64, types.int64), (types.none,)):
        with pytest.raises(TypeError, match=r"_step has the types .* elsewhere"):
            module._agree(module._step, *kinds)


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_garbage_is_collected_again_if_it_was(collects: bool, fails: bool) -> None:
    seen = []

    def compile_(kinds: tuple[Any, ...]) -> None:
        seen.append((kinds, gc.isenabled()))
        if fails:
            raise MemoryError

    module: Any = BLAS.module
    try:
        (gc.enable if collects else gc.disable)()
        if fails:
            with pytest.raises(MemoryError):
                module._compile(SimpleNamespace(compile=compile_), (1,))
        else:
            module._compile(SimpleNamespace(compile=compile_), (1,))
        assert gc.isenabled() is collects
    finally:
        gc.enable()
    assert seen == [((types.int64,), False)]


def test_what_kernels_call_cannot_be_called_from_python() -> None:
    """Numba tells such functions apart by their ways in: one for all, and all would be the same."""
    module: Any = BLAS.module
    kinds = {"_mix": types.uint64, "exp": types.float64, "_total": types.float64[::1]}
    for name, kind in kinds.items():
        getattr(module, name).compile((kind,))
    entries = [e.entry_point for name in kinds for e in getattr(module, name).overloads.values()]
    assert len(set(entries)) == len(entries) >= len(kinds)
    with pytest.raises(ValueError, match="not in list"):
        module._mix(np.uint64(7))


def test_arrays_arrive_as_they_were_packed() -> None:
    """By words: an array lies in memory as Numba says, in tuples in tuples too."""
    module: Any = imported_anew()
    values = (np.arange(6.0).reshape(2, 3), 7, (np.arange(4), (np.ones(0), -1)))
    words = module._pack(values)
    of_matrix = [0, 0, 6, 8, values[0].ctypes.data, 2, 3, 24, 8]
    whole, none = values[2][0], values[2][1][0]
    of_whole = [0, 0, 4, 8, whole.ctypes.data, 4, 8]
    of_none = [0, 0, 0, 8, none.ctypes.data, 0, *none.strides]
    assert words.tolist() == [*of_matrix, 7, *of_whole, *of_none, -1]

    unpack = module._unpack

    @njit
    def total(packed):  # type: ignore[no-untyped-def]
        matrix, number, (integers, (empty, minus)) = unpack(packed)
        return matrix[1, 2] + matrix.size + number + integers[3] + empty.size + minus

    assert total(words) == 5 + 6 + 7 + 3 + 0 - 1
