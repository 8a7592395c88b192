"""`fuse`: neighbouring loops over the same entries become one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kernel_mutants import drop_term, flip_sign_of_product
from kernels import (
    NETWORKS,
    Shape,
    assert_same_results,
    at,
    contract,
    elementwise,
    kernel_program,
    lowered,
    reduce,
)

from codegen.errors import InternalError
from codegen.kernel import Binary, Const, Elementwise, KernelProgram, Negative, Node, Value
from codegen.passes import fuse
from codegen.verify import verify

SHAPES: dict[str, Shape] = {
    "T": (2, "B"),
    "U": (2, "B"),
    "V": (3, "B"),
    "W": (2, "B"),
    "r": ("B",),
    "Q": (3, 3),
    "R": (3, 3),
}
INPUTS: dict[str, Shape] = {"E": (2, "B"), "Y": (2, "B"), "F": (3, "B"), "S": ("B",), "A": (3, 3)}
PARAMETERS: dict[str, Shape] = {"K": (3, 3), "M": (3, 3)}


def loops(*nodes: Node, outputs: tuple[str, ...] = ("T", "U")) -> KernelProgram:
    written = {store.buffer for n in nodes if isinstance(n, Elementwise) for store in n.stores}
    written |= {n.out for n in nodes if not isinstance(n, Elementwise) and hasattr(n, "out")}
    return kernel_program(
        *nodes,
        inputs=INPUTS,
        parameters=PARAMETERS,
        work={name: shape for name, shape in SHAPES.items() if name in written},
        outputs=[name for name in outputs if name in written],
    )


def over(left: str, right: str, op: str = "/") -> Value:
    return Binary(op, at(left), at(right))  # type: ignore[arg-type]


def both(first: Elementwise, second: Elementwise) -> Elementwise:
    """Return one loop that does both."""
    return Elementwise(axes=first.axes, stores=first.stores + second.stores)


# P[j,i] := E[j,i] / S[i], then dZ[j,i] := (P[j,i] - Y[j,i]) * w[i]
LAST = loops(
    elementwise("T[j,i]", over("E[j,i]", "S[i]")),
    elementwise("U[j,i]", Binary("*", over("T[j,i]", "Y[j,i]", "-"), at("S[i]"))),
)


def test_two_loops_become_one() -> None:
    (node,) = fuse(LAST).nodes
    assert isinstance(node, Elementwise)
    assert [store.buffer for store in node.stores] == ["T", "U"]
    assert node.axes == ("j", "i")
    assert node.origin == ("T[j,i]", "U[j,i]")
    assert_same_results(LAST, verify(fuse(LAST)))


APPLIES: dict[str, tuple[KernelProgram, int]] = {
    "axes of other names": (
        loops(
            elementwise("T[j,i]", over("E[j,i]", "S[i]")),
            elementwise("U[k,i]", over("T[k,i]", "Y[k,i]", "*")),
        ),
        1,
    ),
    "nothing in common": (
        loops(elementwise("T[j,i]", at("E[j,i]")), elementwise("U[j,i]", at("Y[j,i]"))),
        1,
    ),
    "three in a row": (
        loops(
            elementwise("T[j,i]", at("E[j,i]")),
            elementwise("U[j,i]", over("T[j,i]", "Y[j,i]", "+")),
            elementwise("W[m,i]", over("U[m,i]", "T[m,i]")),
            outputs=("T", "U", "W"),
        ),
        1,
    ),
    "a sum between the second and the third": (
        loops(
            elementwise("T[j,i]", at("E[j,i]")),
            elementwise("U[j,i]", over("T[j,i]", "Y[j,i]", "+")),
            reduce("r[i]", "j", at("U[j,i]")),
            elementwise("W[j,i]", over("U[j,i]", "r[i]")),
            outputs=("T", "U", "W"),
        ),
        3,
    ),
    "square, read at the same entry under other names": (
        loops(
            elementwise("Q[j,k]", Negative(at("A[j,k]"))),
            elementwise("R[k,j]", over("Q[k,j]", "A[j,k]")),
            outputs=("Q", "R"),
        ),
        1,
    ),
    "a parameter changed where it was read": (
        loops(
            elementwise("Q[j,k]", over("K[j,k]", "A[k,j]")),
            elementwise("K[j,k]", over("K[j,k]", "A[j,k]", "-")),
            outputs=("Q",),
        ),
        1,
    ),
}


@pytest.mark.parametrize(("program", "nodes"), APPLIES.values(), ids=APPLIES)
def test_applies(program: KernelProgram, nodes: int) -> None:
    fused = verify(fuse(verify(program)))
    assert len(fused.nodes) == nodes
    assert_same_results(program, fused)


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_networks(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        fused = verify(fuse(program))
        assert_same_results(program, fused)
        assert fuse(fused) == fused


DECLINED: dict[str, KernelProgram] = {
    "other shapes": loops(elementwise("T[j,i]", at("E[j,i]")), elementwise("V[j,i]", at("F[j,i]"))),
    "other numbers of axes": loops(
        elementwise("T[j,i]", at("E[j,i]")), elementwise("r[i]", at("S[i]")), outputs=("T", "r")
    ),
    "scalars": kernel_program(
        elementwise("s", Const(2.0)),
        elementwise("t", at("s")),
        work={"s": (), "t": ()},
        outputs=("t",),
    ),
    "no neighbours": loops(
        elementwise("T[j,i]", at("E[j,i]")),
        reduce("r[i]", "j", at("T[j,i]")),
        elementwise("U[j,i]", over("T[j,i]", "r[i]")),
    ),
    "what the first writes is read transposed": loops(
        elementwise("Q[j,k]", Negative(at("A[j,k]"))),
        elementwise("R[j,k]", at("Q[k,j]")),
        outputs=("Q", "R"),
    ),
    "what the first writes is read transposed, under other names": loops(
        elementwise("Q[j,k]", Negative(at("A[j,k]"))),
        elementwise("R[k,j]", at("Q[j,k]")),
        outputs=("Q", "R"),
    ),
    "the second overwrites what the first reads elsewhere": loops(
        elementwise("Q[j,k]", at("K[k,j]")),
        elementwise("K[j,k]", at("A[j,k]")),
        outputs=("Q",),
    ),
    "both write a parameter, at other entries": loops(
        both(elementwise("Q[j,k]", at("A[j,k]")), elementwise("K[j,k]", at("A[j,k]"))),
        both(elementwise("R[j,k]", at("A[j,k]")), elementwise("K[k,j]", at("A[j,k]"))),
        outputs=("Q", "R"),
    ),
    "a product": loops(
        contract("Q[j,k]", "F[j,i]", "F[k,i]"),
        elementwise("R[j,k]", at("Q[j,k]")),
        outputs=("R",),
    ),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert fuse(verify(program)) == program


def reversed_stores(program: KernelProgram) -> KernelProgram:
    (node,) = program.nodes
    assert isinstance(node, Elementwise)
    return replace(program, nodes=(replace(node, stores=node.stores[::-1]),))


def test_stores_in_the_wrong_order_are_not_well_formed() -> None:
    with pytest.raises(InternalError, match="reads T before it is written"):
        verify(reversed_stores(fuse(LAST)))


def second_reads_the_input(program: KernelProgram) -> KernelProgram:
    """The first value is taken for the one that it was computed from."""
    (node,) = program.nodes
    assert isinstance(node, Elementwise)
    first, second = node.stores
    wrong = replace(second, value=Binary("*", over("E[j,i]", "Y[j,i]", "-"), at("S[i]")))
    return replace(program, nodes=(replace(node, stores=(first, wrong)),))


def both_store_the_first(program: KernelProgram) -> KernelProgram:
    (node,) = program.nodes
    assert isinstance(node, Elementwise)
    first, second = node.stores
    wrong = replace(second, value=first.value)
    return replace(program, nodes=(replace(node, stores=(first, wrong)),))


WRONG: dict[str, Callable[[KernelProgram], KernelProgram]] = {
    "dropped term": drop_term,
    "an older value": second_reads_the_input,
    "one value twice": both_store_the_first,
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(spoil: Callable[[KernelProgram], KernelProgram]) -> None:
    wrong = verify(spoil(fuse(LAST)))
    with pytest.raises(AssertionError):
        assert_same_results(LAST, wrong)


def test_the_comparison_sees_networks_too() -> None:
    program = lowered("2-10-3", "cross-entropy")["gradients"]
    with pytest.raises(AssertionError):
        assert_same_results(program, flip_sign_of_product(fuse(program)))
