"""`share`: what two nodes compute alike is computed once."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kernels import (
    NETWORKS,
    assert_same_results,
    at,
    called,
    elementwise,
    kernel_program,
    lowered,
    reduce,
    update,
)

from codegen.kernel import Binary, Call, Elementwise, KernelProgram, Load, Value
from codegen.passes import share
from codegen.verify import verify


def exp(value: Value) -> Call:
    return Call("exp", (value,))


def shifted(axis: str) -> Binary:
    return Binary("-", at(f"Z[{axis},i]"), at("M[i]"))


INPUTS = {"Z": (3, "B"), "M": ("B",)}

# softmax as it is lowered: S[i] = sum_k exp(Z[k,i] - M[i]), P[j,i] = exp(Z[j,i] - M[i]) / S[i]
SOFTMAX = kernel_program(
    reduce("S[i]", "k", exp(shifted("k"))),
    elementwise("P[j,i]", Binary("/", exp(shifted("j")), at("S[i]"))),
    inputs=INPUTS,
    work={"S": ("B",), "P": (3, "B")},
    outputs=("P",),
)


def test_a_repeated_call_is_stored_by_the_first() -> None:
    shared = share(SOFTMAX)
    names = [node.stores[0].buffer for node in shared.nodes if isinstance(node, Elementwise)]
    assert names == ["exp_Z", "P"]
    assert [name for node in shared.nodes for name in called(node)] == ["exp"]
    assert shared.buffer("exp_Z").shape == (3, "B")
    assert shared.buffer("exp_Z").role == "work"
    assert_same_results(SOFTMAX, verify(shared))


def test_a_call_in_a_call() -> None:
    inner = Call("tanh", (at("Z[j,i]"),))
    program = kernel_program(
        elementwise("T[j,i]", exp(inner)),
        elementwise("U[j,i]", Binary("+", exp(inner), inner)),
        inputs=INPUTS,
        work={"T": (3, "B"), "U": (3, "B")},
        outputs=("T", "U"),
    )
    shared = share(program)
    assert sorted(name for node in shared.nodes for name in called(node)) == ["exp", "tanh"]
    assert_same_results(program, verify(shared))


def test_two_functions_of_one_buffer_have_two_names() -> None:
    minus = exp(Binary("-", at("M[i]"), at("Z[j,i]")))
    program = kernel_program(
        *(elementwise(f"T{n}[j,i]", exp(at("Z[j,i]"))) for n in (1, 2)),
        *(elementwise(f"T{n}[j,i]", Binary("*", minus, minus)) for n in (3, 4)),
        *(elementwise(f"T{n}[j,i]", exp(shifted("j"))) for n in (5, 6)),
        inputs=INPUTS,
        work={f"T{n}": (3, "B") for n in range(1, 7)},
        outputs=tuple(f"T{n}" for n in range(1, 7)),
    )
    shared = share(program)
    new = [b.name for b in shared.buffers if b not in program.buffers]
    assert new == ["exp_Z", "exp_M", "exp_Z_2"]
    assert shared.buffer("exp_M").shape == (3, "B"), "samples last, though they are named first"
    assert_same_results(program, verify(shared))


def test_axes_are_told_apart_in_square_buffers() -> None:
    """exp(A[j,k] - A[k,j]) is not exp(A[k,j] - A[j,k]), but is the same at exchanged axes."""
    one = exp(Binary("-", at("A[j,k]"), at("A[k,j]")))
    other = exp(Binary("-", at("A[k,j]"), at("A[j,k]")))
    program = kernel_program(
        elementwise("T[j,k]", one),
        elementwise("U[j,k]", other),
        inputs={"A": (3, 3)},
        work={"T": (3, 3), "U": (3, 3)},
        outputs=("T", "U"),
    )
    shared = share(program)
    assert sum(1 for node in shared.nodes for _ in called(node)) == 1
    assert_same_results(program, verify(shared))


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_no_network_computes_a_function_twice(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        shared = verify(share(program))
        assert_same_results(program, shared)
        assert share(shared) == shared


# ---------------------------------------------------------------- where it must not act

W = {"W": (2, 3)}

DECLINED: dict[str, KernelProgram] = {
    "one use": kernel_program(
        reduce("S[i]", "k", exp(shifted("k"))),
        inputs=INPUTS,
        work={"S": ("B",)},
        outputs=("S",),
    ),
    "two uses in one node, which the emitter names": kernel_program(
        elementwise("T[j,i]", Binary("*", exp(at("Z[j,i]")), exp(at("Z[j,i]")))),
        inputs=INPUTS,
        work={"T": (3, "B")},
        outputs=("T",),
    ),
    "another function": kernel_program(
        elementwise("T[j,i]", exp(at("Z[j,i]"))),
        elementwise("U[j,i]", Call("tanh", (at("Z[j,i]"),))),
        inputs=INPUTS,
        work={"T": (3, "B"), "U": (3, "B")},
        outputs=("T", "U"),
    ),
    "another argument": kernel_program(
        elementwise("T[j,i]", exp(at("Z[j,i]"))),
        elementwise("U[j,i]", exp(Binary("*", at("Z[j,i]"), at("M[i]")))),
        inputs=INPUTS,
        work={"T": (3, "B"), "U": (3, "B")},
        outputs=("T", "U"),
    ),
    "a product is no call": kernel_program(
        elementwise("T[j,i]", Binary("*", at("Z[j,i]"), at("M[i]"))),
        elementwise("U[j,i]", Binary("*", at("Z[j,i]"), at("M[i]"))),
        inputs=INPUTS,
        work={"T": (3, "B"), "U": (3, "B")},
        outputs=("T", "U"),
    ),
    "a function of a scalar costs nothing": kernel_program(
        elementwise("T[i]", Binary("*", exp(at("s")), at("M[i]"))),
        elementwise("U[i]", Binary("/", at("M[i]"), exp(at("s")))),
        inputs=INPUTS | {"s": ()},
        work={"T": ("B",), "U": ("B",)},
        outputs=("T", "U"),
    ),
    "the parameter is updated in between": kernel_program(
        elementwise("T[j,k]", exp(at("W[j,k]"))),
        update("W", "G"),
        elementwise("U[j,k]", exp(at("W[j,k]"))),
        inputs={"G": (2, 3)},
        parameters=W,
        work={"T": (2, 3), "U": (2, 3)},
        outputs=("T", "U"),
    ),
    "the node itself stores what the call reads": kernel_program(
        Elementwise(
            axes=("i",),
            stores=(
                *elementwise("T[i]", at("M[i]")).stores,
                *elementwise("U[i]", exp(at("T[i]"))).stores,
            ),
        ),
        elementwise("V[i]", exp(at("T[i]"))),
        inputs=INPUTS,
        work={"T": ("B",), "U": ("B",), "V": ("B",)},
        outputs=("U", "V"),
    ),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert share(verify(program)) == program


# ---------------------------------------------------------------- the comparison can fail


def divide_by_another(program: KernelProgram) -> KernelProgram:
    first, second, third = program.nodes
    assert isinstance(third, Elementwise)
    value = Binary("/", Load("exp_Z", ("j", "i")), Load("M", ("i",)))
    return replace(program, nodes=(first, second, elementwise("P[j,i]", value)))


def store_another_function(program: KernelProgram) -> KernelProgram:
    first, *rest = program.nodes
    assert isinstance(first, Elementwise)
    return replace(program, nodes=(elementwise("exp_Z[k,i]", Call("tanh", (shifted("k"),))), *rest))


def store_without_shift(program: KernelProgram) -> KernelProgram:
    """Softmax itself would not notice, so the sum is asked for as well."""
    _, *rest = program.nodes
    return replace(program, nodes=(elementwise("exp_Z[k,i]", exp(at("Z[k,i]"))), *rest))


WRONG = {
    "another divisor": divide_by_another,
    "another function": store_another_function,
    "another argument": store_without_shift,
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(spoil: Callable[[KernelProgram], KernelProgram]) -> None:
    program = replace(SOFTMAX, outputs=("P", "S"))
    wrong = verify(spoil(share(program)))
    with pytest.raises(AssertionError):
        assert_same_results(program, wrong)
