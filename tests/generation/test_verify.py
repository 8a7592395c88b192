"""The invariants of a kernel programme: each one, broken, is refused by name."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kernels import (
    NETWORKS,
    at,
    contract,
    elementwise,
    kernel_program,
    lowered,
    reduce,
    update,
)

from codegen.errors import InternalError
from codegen.kernel import Argument, Binary, Buffer, Const, Elementwise, KernelProgram, Node, writes
from codegen.passes import PIPELINE, run_passes
from codegen.verify import verify

GOOD = kernel_program(
    contract("T[j,i]", "W[j,k]", "X[k,i]", start=at("b[j]"), alpha=at("s")),
    elementwise("U[j,i]", Binary("*", at("T[j,i]"), at("w[i]"))),
    contract("dW[j,k]", "U[j,i]", "X[k,i]"),
    reduce("db[j]", "i", at("U[j,i]"), alpha=Argument("eta")),
    update("W", "dW"),
    update("b", "db"),
    inputs={"X": (3, "B"), "w": ("B",), "s": ()},
    parameters={"W": (2, 3), "b": (2,), "S": (4, 4)},
    work={"T": (2, "B"), "U": (2, "B"), "dW": (2, 3), "db": (2,)},
    outputs=("U",),
)


def node(number: int, **changes: object) -> Callable[[KernelProgram], KernelProgram]:
    """Return the change of one node of `GOOD`."""

    def change(program: KernelProgram) -> KernelProgram:
        nodes: list[Node] = list(program.nodes)
        nodes[number] = replace(nodes[number], **changes)  # type: ignore[arg-type]
        return replace(program, nodes=tuple(nodes))

    return change


def instead(number: int, *new: Node) -> Callable[[KernelProgram], KernelProgram]:
    """Return the exchange of one node of `GOOD` for others."""
    return lambda program: replace(
        program, nodes=(*program.nodes[:number], *new, *program.nodes[number + 1 :])
    )


def with_buffer(name: str, *shape: object) -> Callable[[KernelProgram], KernelProgram]:
    """Return the change of a buffer's shape."""
    return lambda program: replace(
        program,
        buffers=tuple(
            replace(buffer, shape=shape) if buffer.name == name else buffer
            for buffer in program.buffers
        ),
    )


def declared_twice(program: KernelProgram) -> KernelProgram:
    another = Buffer(name="T", shape=(7,), role="work", dtype="float64")
    return replace(program, buffers=(*program.buffers, another))


def twice_in_one_loop(program: KernelProgram) -> KernelProgram:
    (_, loop, *_) = program.nodes
    assert isinstance(loop, Elementwise)
    return node(1, stores=loop.stores * 2)(program)


BROKEN: dict[str, tuple[Callable[[KernelProgram], KernelProgram], str]] = {
    "a buffer is declared twice": (declared_twice, "declared twice"),
    "a buffer is not declared": (
        lambda p: replace(p, buffers=p.buffers[:-1]),
        "no buffer is called db",
    ),
    "an output is never written": (
        lambda p: replace(p, outputs=("U", "P")),
        "the output P is never written",
    ),
    "read before it is written": (
        lambda p: replace(p, nodes=(p.nodes[1], p.nodes[0], *p.nodes[2:])),
        "reads T before it is written",
    ),
    "read and never written": (
        lambda p: replace(p, nodes=p.nodes[1:]),
        "reads T before it is written",
    ),
    "a start that is not written": (node(0, start=at("db[j]")), "reads db before"),
    "a factor that is not written": (node(0, alpha=at("db")), "reads db before"),
    "a factor of a sum that is not written": (node(3, alpha=at("z")), "reads z before"),
    "a rate that is not written": (
        lambda p: replace(node(4, rate=at("z"))(p)),
        "reads z before",
    ),
    "added to what is not there": (node(2, beta=1), "reads dW before"),
    "written twice": (lambda p: replace(p, nodes=(*p.nodes, p.nodes[1])), "U a second time"),
    "an input is written": (instead(1, elementwise("w[i]", Const(0.0))), "w a second time"),
    "written twice in one loop": (twice_in_one_loop, "U a second time"),
    "an axis with two extents in a product": (with_buffer("X", 4, "B"), "k has two extents"),
    "an axis with two extents in a loop": (with_buffer("w", 5), "i has two extents"),
    "an axis with two extents in a bias": (with_buffer("b", 5), "j has two extents"),
    "an axis with two extents in a sum": (with_buffer("db", 5), "j has two extents"),
    "too few axes": (node(1, stores=elementwise("U[j,i]", at("T[j]")).stores), "T with 1 axes"),
    "too many axes": (
        node(1, stores=elementwise("U[j,i]", at("w[j,i]")).stores),
        "w with 2 axes",
    ),
    "an axis twice": (
        instead(1, elementwise("b[j]", at("S[j,j]"))),
        "S with an axis twice",
    ),
    "an axis without a loop": (
        instead(1, elementwise("U[j,i]", at("W[j,k]"))),
        "W over an axis without a loop",
    ),
    "an axis without a loop in a sum": (
        node(3, value=Binary("*", at("U[j,i]"), at("X[k,i]"))),
        "X over an axis without a loop",
    ),
    "a product over no axis": (
        instead(2, contract("dW[j,k]", "U[j,i]", "X[k,m]")),
        "exactly one axis",
    ),
    "a product over two axes": (
        instead(2, contract("dW[k]", "U[j,i]", "T[j,i]")),
        "exactly one axis",
    ),
    "a product that loses an axis": (
        instead(2, contract("dW[j]", "U[j,i]", "X[k,i]")),
        "exactly one axis",
    ),
    "a product with a row": (
        instead(2, contract("db[j]", "U[j,i]", "w[i]")),
        "no product of two matrices",
    ),
    "a product that starts from a term": (
        node(0, start=at("S[j,k]")),
        "starts from what its result has no axis for",
    ),
    "a product that writes what it reads": (
        instead(2, contract("S[j,k]", "S[j,m]", "S[m,k]")),
        "writes S while it reads it",
    ),
    "a sum that writes what it reads": (
        node(3, out="b", value=Binary("*", at("U[j,i]"), at("b[j]"))),
        "writes b while it reads it",
    ),
    "a sum over an axis that nothing has": (node(3, axis="q"), "reduces over q, which nothing"),
    "a sum over an axis that it keeps": (node(3, axis="j"), "reduces over j, and keeps it"),
    "a factor that is no scalar": (node(0, alpha=at("b")), "factor that is not a scalar"),
    "a factor of a sum that is no scalar": (node(3, alpha=at("b")), "factor that is not a scalar"),
    "a rate that is no scalar": (node(4, rate=at("b")), "factor that is not a scalar"),
    "a loop that stores over other axes": (node(1, axes=("j",)), "stores U over other axes"),
    "a loop that uses what it stores at another entry": (
        instead(1, elementwise("S[j,k]", at("S[k,j]"))),
        "uses S at two entries",
    ),
    "an update by another shape": (node(4, gradient="db"), "another shape"),
}


def test_a_good_programme_is_returned() -> None:
    assert verify(GOOD) is GOOD


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_each_invariant(spoil: Callable[[KernelProgram], KernelProgram], message: str) -> None:
    with pytest.raises(InternalError, match=message):
        verify(spoil(GOOD))


def test_the_message_names_programme_and_node() -> None:
    spoil, _ = BROKEN["written twice"]
    with pytest.raises(InternalError) as refused:
        verify(spoil(GOOD))
    message = str(refused.value)
    assert message.startswith("test: Elementwise ('U',) writes U a second time")
    assert "Load(buffer='T'" in message


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_networks_are_well_formed_before_and_after_the_passes(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        optimised, _ = run_passes(verify(program), PIPELINE)
        verify(optimised)


def test_a_parameter_may_be_written_twice() -> None:
    program = replace(GOOD, nodes=(*GOOD.nodes, GOOD.nodes[4]))
    assert [name for n in program.nodes for name in writes(n)].count("W") == 2
    verify(program)
