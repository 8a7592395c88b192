"""Products of a step by every way: that all compute the same, and what is told of their times."""

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from uncompiled import uncompiled

from codegen.product_cost import Way
from codegen.source import GeneratedSource
from runtime.bench import candidates, product_table
from runtime.bench.candidates import TimedProduct, time_products
from runtime.bench.product_table import ProductTable
from runtime.bench.workload import Workload, workload
from runtime.commands.bench import command
from runtime.errors import InputError

SPEC = "40-48:relu-3-4"  # loops for some products, calls for others


def work(spec: str = SPEC, **options: Any) -> Workload:
    return workload(spec, batch=20, **options)


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Leave all kernels to the interpreter, where calls of our own product are calls of BLAS."""
    made: list[ModuleType] = []

    def compiled(source: GeneratedSource) -> ModuleType:
        module = uncompiled(source.text)
        vars(module).update(OWN_PRODUCTS=True, _own_gemm=module._gemm)
        made.append(module)
        return module

    monkeypatch.setattr(candidates, "compile_module", compiled)
    monkeypatch.setattr(candidates, "_LEAST", 0.0)
    return made  # type: ignore[return-value]


def test_all_ways_compute_the_same(in_python: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    results: dict[tuple[str, int], list[np.ndarray]] = {}

    class Run(candidates._Run):
        def __init__(self, module: Any, step: Any, node: Any, name: str, way: Way, *sizes: int):
            super().__init__(module, step, node, name, way, *sizes)
            program = candidates._alone(step, node, way)
            taken = candidates.kernel_arguments(program)
            held = dict(zip(taken, self._given[0], strict=True))
            parameters = [b.name for b in program.buffers if b.role == "parameter"]
            held |= dict(zip(parameters, held["params"], strict=True))
            rng = np.random.default_rng(1)
            for buffer in sorted(program.buffers, key=lambda b: b.name):
                values = rng.integers(-3, 4, [20 if n == "B" else int(n) for n in buffer.shape])
                array = held[buffer.name]
                if buffer.batch_first:
                    array[:] = values.T
                else:  # rows of samples are longer
                    array[..., : values.shape[-1]] = values
            self._function(1, *self._given[0])
            result = held[node.out][:, : 20 if "B" in program.buffer(node.out).shape else None]
            results.setdefault((node.origin[0], sizes[-1]), []).append(result.copy())

    monkeypatch.setattr(candidates, "_Run", Run)
    found = time_products(work(), (1,), 1)
    assert [product.choice.name.split()[0] for product in found] == [
        "Z1", "Z2", "Z3", "dH2", "dH1", "dW1", "dW2", "dW3",
    ]  # fmt: skip
    assert len(results) == len(found)
    for (name, _), (own, blas, loops) in results.items():
        assert own.any(), name
        np.testing.assert_allclose(blas, own, rtol=1e-5, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(loops, own, rtol=1e-5, atol=1e-4, err_msg=name)
    assert {product.choice.chosen for product in found} == {"own", "loops"}
    for product in found:
        assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in product.seconds.values())


@pytest.mark.usefixtures("in_python")
def test_what_has_no_products_to_choose_for_is_refused() -> None:
    with pytest.raises(InputError, match="2-10-2 is computed by vectors"):
        time_products(work("2-10-2"), (1,), 1)
    with pytest.raises(InputError, match=r"float64\. The model"):
        time_products(work(dtype="float64"), (1,), 1)
    with pytest.raises(InputError, match="repeats, threads: 0, 1"):
        product_table.product_table(work(), threads=1, repeats=0)


def test_the_table_and_its_json(in_python: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = time_products(work(), (1, 2), 2)
    assert [product.threads for product in found] == [1] * 8 + [2] * 8

    def timed(number: int, own: float, blas: float, loops: float) -> TimedProduct:
        seconds: dict[Way, tuple[float, ...]] = {
            "own": (own, 2 * own), "blas": (blas, blas), "loops": (loops, loops),
        }  # fmt: skip
        return replace(found[number], seconds=seconds)

    rows = (timed(0, 2e-6, 1e-6, 4e-6), timed(1, 2e-6, 1.9e-6, 4e-6))
    monkeypatch.setattr(product_table, "time_products", lambda *_: list(rows))
    result = CliRunner().invoke(command, [SPEC, "--batch", "20", "--products"])
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("Z")]
    assert lines[0].split()[:6] == ["Z1", "=", "X", "W1ᵀ", "+", "1"]
    assert "48 x 20 x 40" in lines[0]
    assert "3.00 (" in lines[0], "median of the turns, then what was predicted"
    assert lines[0].split()[-2:] == ["own", "blas"], "one was faster by more than 15 %"
    assert lines[1].split()[-1] == rows[1].choice.chosen
    result = CliRunner().invoke(command, [SPEC, "--products", "--format", "json"])
    first, second = json.loads(result.output)["products"]
    assert (first["rows"], first["columns"], first["summed"]) == (48, 20, 40)
    assert first["measured"]["own"] == {"median": 3.0, "min": 2.0, "max": 4.0}
    assert first["predicted"]["own"] == pytest.approx(
        1e-3 * rows[0].choice.predicted["own"], abs=1e-4
    )
    assert (first["better"], second["better"]) == ("blas", None)


def test_where_there_is_no_product_of_ours_a_call_is_of_blas() -> None:
    timed = TimedProduct(choice=None, threads=1, seconds={"blas": (1.0,), "loops": (2.0,)})  # type: ignore[arg-type]
    choice = type("Choice", (), {"chosen": "own"})
    assert product_table._here(replace(timed, choice=choice)) == "blas"  # type: ignore[arg-type]


@pytest.mark.long
def test_all_ways_run_compiled_by_two_threads() -> None:
    table = product_table.product_table(work(), threads=2, repeats=1)
    assert isinstance(table, ProductTable)
    assert len(table.products) == 16
    text = str(table)
    assert text.count("Z1 = X W1ᵀ") == 2
