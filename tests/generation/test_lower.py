"""From index notation to a kernel programme: the same numbers, in the promised form."""

import numpy as np
import pytest
import sympy
from kernels import NETWORKS, derived, lowered
from sympy import Expr

from codegen.errors import InputError, InternalError
from codegen.interpreter import interpret
from codegen.kernel import (
    BATCH,
    Argument,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    loads,
    reads,
    writes,
)
from codegen.lowering import lower
from codegen.verify import verify
from derive.evaluate import evaluate
from derive.network import loss_program
from derive.program import BATCH as B
from derive.program import MaxOver, Program, Statement, Sum, Tensor, base, index, scalar, size

i, j, k, m = index("i"), index("j"), index("k"), index("m")
A, C = base("A"), base("C")
W, V = base("W"), base("V")
c, w, s = base("c"), base("w"), scalar("s")

SHAPES: dict[str, tuple[Expr, ...]] = {
    "A": (B, size(4)),
    "C": (B, size(3)),
    "W": (size(3), size(4)),
    "V": (size(3), size(4)),
    "c": (size(3),),
    "w": (B,),
    "s": (),
}
EXTENTS = {i: B, j: size(3), k: size(4), m: size(3)}


def over(*symbols: Expr) -> tuple[tuple[Expr, int, Expr], ...]:
    """Return limits that run over the whole axis of each index."""
    return tuple((symbol, 0, EXTENTS[symbol] - 1) for symbol in symbols)


# indices of the target, body, and the kinds of the nodes that it becomes
STATEMENTS: dict[str, tuple[tuple[Expr, ...], Expr, str]] = {
    "affine map": ((i, j), Sum(A[i, k] * W[j, k], *over(k)) + c[j], "CE"),
    "product over the batch": ((j, k), Sum(C[i, j] * A[i, k], *over(i)), "C"),
    "its transpose": ((k, j), Sum(C[i, j] * A[i, k], *over(i)), "C"),
    "product without a batch": ((j, m), Sum(W[j, k] * V[m, k], *over(k)), "C"),
    "product of a matrix with itself": ((j, m), Sum(W[j, k] * W[m, k], *over(k)), "C"),
    "squares": ((j,), Sum(W[j, k] ** 2, *over(k)), "R"),
    "product of three": ((i, j), Sum(A[i, k] * W[j, k] * V[j, k], *over(k)), "R"),
    "doubled product": ((i, j), Sum(2 * A[i, k] * W[j, k], *over(k)), "R"),
    "weighted column sums": ((j,), Sum(C[i, j] * w[i], *over(i)), "ER"),
    "outer product": ((i, j), w[i] * c[j], "E"),
    "transposed": ((j, i), C[i, j] * c[j], "E"),
    "column sums": ((j,), Sum(C[i, j], *over(i)), "R"),
    "column sums of a function": ((j,), Sum(sympy.tanh(C[i, j]), *over(i)), "ER"),
    "row sums": ((i,), Sum(C[i, j], *over(j)), "R"),
    "row sums of a function": ((i,), Sum(sympy.exp(C[i, j]) * c[j], *over(j)), "R"),
    "largest of a row": ((i,), MaxOver(C[i, j], *over(j)), "R"),
    "softmax": ((i, j), sympy.exp(C[i, j]) / Sum(sympy.exp(C[i, m]), *over(m)), "RE"),
    "log of a sum": ((i,), sympy.log(Sum(sympy.exp(C[i, m]), *over(m))), "RE"),
    "sum of everything": ((), Sum(Sum(C[i, j], *over(j)), *over(i)), "RR"),
    "sum with two limits": ((), Sum(C[i, j], *over(j, i)), "RR"),
    "mean": ((), Sum(Sum(C[i, j] * sympy.log(C[i, j]), *over(j)) / B, *over(i)), "RER"),
    "two sums": ((i,), Sum(C[i, j], *over(j)) * Sum(A[i, k], *over(k)), "RRE"),
    "product in a sum": ((j,), Sum(w[i] * Sum(A[i, k] * W[j, k], *over(k)), *over(i)), "CER"),
    "function of a sum in a sum": ((), Sum(sympy.tanh(Sum(A[i, k], *over(k))), *over(i)), "RER"),
    "scalar times entry": ((j,), s * c[j], "E"),
    "scalar": ((), s**2 + 1, "E"),
    "zero": ((i, j), sympy.Integer(0), "E"),
    "divided by the batch": ((j,), c[j] / B, "E"),
    "copy": ((i, j), C[i, j], "E"),
    "selection": ((i, j), sympy.Piecewise((C[i, j], C[i, j] > w[i]), (c[j], True)), "E"),
}


def one_statement(indices: tuple[Expr, ...], body: Expr) -> Program:
    target = Tensor(name="T", shape=tuple(EXTENTS[symbol] for symbol in indices))
    return Program(
        inputs=tuple(Tensor(name=name, shape=shape) for name, shape in SHAPES.items()),
        parameters=("W", "c"),
        statements=(Statement(target=target, indices=indices, body=body),),
        outputs=("T",),
    )


def stored(shape: tuple[Expr, ...], array: np.ndarray) -> np.ndarray:
    """Return an array with its batch axis last."""
    order = sorted(range(len(shape)), key=lambda axis: shape[axis] == B)
    return array.transpose(order)


@pytest.mark.parametrize(("indices", "body", "kinds"), STATEMENTS.values(), ids=STATEMENTS)
def test_the_value_is_that_of_the_statement(
    indices: tuple[Expr, ...], body: Expr, kinds: str
) -> None:
    program = one_statement(indices, body)
    draw = np.random.default_rng(3)
    arrays = {
        name: draw.uniform(0.2, 1.2, [5 if e == B else int(e) for e in shape])
        for name, shape in SHAPES.items()
    }
    kernel = verify(lower(program, name="test", outputs=("T",), dtype="float64"))
    values = {name: stored(SHAPES[name], array) for name, array in arrays.items()}
    found = interpret(kernel, values)["T"]
    expected = evaluate(program, arrays, dtype="float64")["T"]
    (statement,) = program.statements
    np.testing.assert_allclose(found, stored(statement.target.shape, expected), rtol=1e-13)
    assert "".join(type(node).__name__[0] for node in kernel.nodes) == kinds


def every_node() -> list[tuple[KernelProgram, Node]]:
    programs = [p for network in NETWORKS for p in lowered(*network).values()]
    programs += [
        lower(one_statement(indices, body), name="test", outputs=("T",))
        for indices, body, _ in STATEMENTS.values()
    ]
    return [(program, node) for program in programs for node in program.nodes]


def test_what_holds_afterwards() -> None:
    kinds = set()
    for program, node in every_node():
        kinds.add(type(node).__name__)
        if isinstance(node, Contract):
            assert node.alpha.value == 1.0  # type: ignore[union-attr]
            assert (node.beta, node.start, node.method) == (0, None, "undecided")
            assert node.out_axes[0] in node.left.axes, "the rows come from the left factor"
        if isinstance(node, Reduce):
            extents = dict(
                pair
                for load in loads(node.value)
                for pair in zip(load.axes, program.buffer(load.buffer).shape, strict=True)
            )
            assert extents[node.axis] != BATCH or isinstance(node.value, Load)
        assert node.origin, "every node knows its formula"
    assert kinds == {"Contract", "Elementwise", "Reduce", "Update"}


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_every_programme_of_a_network_is_well_formed(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        verify(program)
        for buffer in program.buffers:
            assert BATCH not in buffer.shape[:-1], "samples are stored last"


def test_the_forward_pass_of_the_lab_in_full() -> None:
    gradient, _ = derived("2-10-2", "cross-entropy")
    program = lower(gradient, name="forward", outputs=("P",))
    assert [(type(node).__name__, *writes(node), *reads(node)) for node in program.nodes] == [
        ("Contract", "Z1_t1", "W1", "X"),
        ("Elementwise", "Z1", "Z1_t1", "b1"),
        ("Elementwise", "H1", "Z1"),
        ("Contract", "Z2_t1", "W2", "H1"),
        ("Elementwise", "Z2", "Z2_t1", "b2"),
        ("Reduce", "P_max", "Z2"),
        ("Reduce", "P_sum", "Z2", "P_max"),
        ("Elementwise", "P", "Z2", "P_max", "P_sum"),
    ]
    roles = {buffer.name: (buffer.shape, buffer.role) for buffer in program.buffers}
    assert roles["X"] == ((2, BATCH), "input")
    assert roles["W1"] == ((10, 2), "parameter")
    assert roles["Z1"] == ((10, BATCH), "work")
    assert roles["P"] == ((2, BATCH), "output")
    assert {buffer.dtype for buffer in program.buffers} == {"float32"}


def test_what_no_output_needs_is_left_out() -> None:
    gradient, _ = derived("2-10-3", "cross-entropy")
    written = {
        n for node in lower(gradient, name="g", outputs=("db2",)).nodes for n in writes(node)
    }
    assert "db2" in written
    assert not written & {"dW1", "db1", "dW2", "dZ1", "loss"}


def test_the_output_may_be_an_intermediate_value() -> None:
    gradient, _ = derived("2-10-3", "cross-entropy")
    program = lower(gradient, name="h", outputs=("H1", "P"))
    assert [b.name for b in program.buffers if b.role == "output"] == ["H1", "P"]


def test_a_taken_name_is_not_given_to_a_temporary() -> None:
    program = one_statement((i, j), Sum(A[i, k] * W[j, k], *over(k)) + c[j])
    taken = tuple(
        Tensor(name="T_t1", shape=tensor.shape) if tensor.name == "V" else tensor
        for tensor in program.inputs
    )
    (product, addition) = lower(
        Program(
            inputs=taken,
            parameters=program.parameters,
            statements=program.statements,
            outputs=program.outputs,
        ),
        name="test",
        outputs=("T",),
    ).nodes
    assert writes(product) == ("T_t2",)
    assert "T_t2" in reads(addition)


def test_the_size_of_the_batch_is_an_argument() -> None:
    program = lower(one_statement((j,), c[j] / B), name="test", outputs=("T",))
    (node,) = program.nodes
    assert isinstance(node, Elementwise)
    assert Argument("B") in (node.stores[0].value.left, node.stores[0].value.right)  # type: ignore[union-attr]


def test_a_size_that_is_a_name_is_the_users_to_mend() -> None:
    with pytest.raises(InputError, match=r"nh.*Write the sizes as integers"):
        lower(loss_program("2-nh-2"), name="loss", outputs=("loss",))


def test_two_batch_axes_are_refused() -> None:
    i2 = index("i2")
    target = Tensor(name="T", shape=(B, B))
    body = Sum(A[i, k] * A[i2, k], *over(k))
    program = Program(
        inputs=(Tensor(name="A", shape=SHAPES["A"]),),
        parameters=(),
        statements=(Statement(target=target, indices=(i, i2), body=body),),
        outputs=("T",),
    )
    with pytest.raises(InternalError, match="T has 2 batch axes"):
        lower(program, name="test", outputs=("T",))


def test_what_kernels_do_not_have_is_refused_with_the_expression() -> None:
    program = one_statement((j,), sympy.Function("gelu")(c[j]))
    with pytest.raises(InternalError, match="gelu"):
        lower(program, name="test", outputs=("T",))


def test_the_same_programme_gives_the_same_kernels() -> None:
    first, second = (lowered.__wrapped__("4-3:relu-5:sigmoid-2", "mse") for _ in range(2))
    assert first == second
    assert repr(first) == repr(second)
