"""`start_from_bias`: a product starts from what would be added to it."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from kernel_mutants import drop_bias, flip_sign_of_product, transpose_operand
from kernels import (
    NETWORKS,
    Shape,
    assert_same_results,
    at,
    contract,
    elementwise,
    kernel_program,
    lowered,
    update,
)

from codegen.kernel import Binary, Const, Contract, Elementwise, KernelProgram, Node, Value
from codegen.passes import start_from_bias
from codegen.verify import verify

INPUTS: dict[str, Shape] = {"X": (3, "B"), "c": ("B",)}
PARAMETERS: dict[str, Shape] = {"W": (2, 3), "b": (2,), "V": (2, 2)}
PRODUCT = contract("T[j,i]", "W[j,k]", "X[k,i]")


def total(left: Value, right: Value) -> Elementwise:
    return elementwise("Z[j,i]", Binary("+", left, right))


def layer(*nodes: Node, outputs: tuple[str, ...] = ("Z",), **work: Shape) -> KernelProgram:
    return kernel_program(
        *nodes,
        inputs=INPUTS,
        parameters=PARAMETERS,
        work={"T": (2, "B"), "Z": (2, "B"), **work},
        outputs=outputs,
    )


LAYER = layer(PRODUCT, total(at("T[j,i]"), at("b[j]")))


def test_the_bias_is_where_the_sum_starts() -> None:
    (node,) = start_from_bias(LAYER).nodes
    assert isinstance(node, Contract)
    assert (node.out, node.start) == ("Z", at("b[j]"))
    assert node.origin == ("T[j,i]", "Z[j,i]")
    assert_same_results(LAYER, verify(start_from_bias(LAYER)))


APPLIES: dict[str, KernelProgram] = {
    "the bias stands first": layer(PRODUCT, total(at("b[j]"), at("T[j,i]"))),
    "a number for each sample": layer(PRODUCT, total(at("T[j,i]"), at("c[i]"))),
    "a scaled product": layer(replace(PRODUCT, alpha=Const(0.5)), total(at("T[j,i]"), at("b[j]"))),
    "the bias is computed after the product": layer(
        PRODUCT,
        elementwise("d[j]", Binary("*", at("b[j]"), at("b[j]"))),
        total(at("T[j,i]"), at("d[j]")),
        d=(2,),
    ),
    "a second product reads the first sum": layer(
        PRODUCT,
        total(at("T[j,i]"), at("b[j]")),
        contract("U[j,i]", "V[j,k]", "Z[k,i]"),
        elementwise("Q[j,i]", Binary("+", at("U[j,i]"), at("b[j]"))),
        outputs=("Q",),
        U=(2, "B"),
        Q=(2, "B"),
    ),
}


@pytest.mark.parametrize("program", APPLIES.values(), ids=APPLIES)
def test_applies(program: KernelProgram) -> None:
    started = start_from_bias(verify(program))
    assert all(isinstance(node, Contract) or "*" in repr(node) for node in started.nodes)
    assert_same_results(program, verify(started))


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_every_layer_of_every_network_starts_from_its_bias(network: tuple[str, str]) -> None:
    for name, program in lowered(*network).items():
        started = verify(start_from_bias(program))
        layers = [n.out for n in started.nodes if isinstance(n, Contract) and n.start is not None]
        assert layers == [b.name for b in program.buffers if re.fullmatch(r"Z\d+", b.name)]
        assert layers, name
        assert_same_results(program, started)


DECLINED: dict[str, KernelProgram] = {
    "the product is an output": layer(PRODUCT, total(at("T[j,i]"), at("b[j]")), outputs=("T", "Z")),
    "the product is an output, whatever its role is called": replace(LAYER, outputs=("T", "Z")),
    "the product has other names for its axes": layer(
        contract("T[m,i]", "W[m,k]", "X[k,i]"), total(at("T[j,i]"), at("b[j]"))
    ),
    "the product has a second reader": layer(
        PRODUCT,
        total(at("T[j,i]"), at("b[j]")),
        elementwise("U[j,i]", at("T[j,i]")),
        outputs=("U", "Z"),
        U=(2, "B"),
    ),
    "what is added is no product": layer(
        elementwise("T[j,i]", at("c[i]")), total(at("T[j,i]"), at("b[j]"))
    ),
    "a difference": layer(PRODUCT, elementwise("Z[j,i]", Binary("-", at("T[j,i]"), at("b[j]")))),
    "more than an addition": layer(
        PRODUCT, total(at("T[j,i]"), Binary("*", at("b[j]"), at("b[j]")))
    ),
    "a whole matrix is added": layer(
        elementwise("U[j,i]", at("c[i]")),
        PRODUCT,
        total(at("T[j,i]"), at("U[j,i]")),
        U=(2, "B"),
    ),
    "the product is read transposed": kernel_program(
        contract("T[j,m]", "V[j,k]", "U[k,m]"),
        elementwise("Z[j,m]", Binary("+", at("T[m,j]"), at("b[j]"))),
        parameters={**PARAMETERS, "U": (2, 2)},
        work={"T": (2, 2), "Z": (2, 2)},
        outputs=("Z",),
    ),
    "the product starts from a bias already": layer(
        replace(PRODUCT, start=at("c[i]")), total(at("T[j,i]"), at("b[j]"))
    ),
    "the product adds to what is there": kernel_program(
        contract("V[j,k]", "W[j,m]", "U[m,k]", beta=1),
        elementwise("Z[j,k]", Binary("+", at("V[j,k]"), at("b[j]"))),
        inputs={"U": (3, 2)},
        parameters=PARAMETERS,
        work={"Z": (2, 2)},
        outputs=("Z",),
    ),
    "the product is kept": kernel_program(
        contract("V[j,k]", "W[j,m]", "U[m,k]"),
        elementwise("Z[j,k]", Binary("+", at("V[j,k]"), at("b[j]"))),
        inputs={"U": (3, 2)},
        parameters=PARAMETERS,
        work={"Z": (2, 2)},
        outputs=("Z",),
    ),
    "a factor is updated in between": kernel_program(
        PRODUCT,
        update("W", "G"),
        total(at("T[j,i]"), at("b[j]")),
        inputs={"X": (3, "B"), "G": (2, 3)},
        parameters=PARAMETERS,
        work={"T": (2, "B"), "Z": (2, "B")},
        outputs=("Z",),
    ),
    "the sum overwrites a factor": kernel_program(
        contract("T[j,k]", "V[j,m]", "V[m,k]"),
        elementwise("V[j,k]", Binary("+", at("T[j,k]"), at("b[j]"))),
        parameters=PARAMETERS,
        work={"T": (2, 2)},
    ),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert start_from_bias(verify(program)) == program


def start_from_another(program: KernelProgram) -> KernelProgram:
    (node,) = program.nodes
    return replace(program, nodes=(replace(node, start=at("c[i]")),))  # type: ignore[call-arg]


WRONG: dict[str, tuple[KernelProgram, Callable[[KernelProgram], KernelProgram]]] = {
    "no bias": (LAYER, drop_bias),
    "another bias": (LAYER, start_from_another),
    "sign of the product": (LAYER, flip_sign_of_product),
    "transposed factor": (APPLIES["a second product reads the first sum"], transpose_operand),
}


@pytest.mark.parametrize(("program", "spoil"), WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(
    program: KernelProgram, spoil: Callable[[KernelProgram], KernelProgram]
) -> None:
    wrong = verify(spoil(start_from_bias(program)))
    with pytest.raises(AssertionError):
        assert_same_results(program, wrong)
