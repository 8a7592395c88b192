"""`sparse_inputs`: the products over non-zeros, where nothing else meets inputs or weights."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kernel_mutants import drop_mean, flip_sign_of_product, transpose_operand
from kernels import (
    NETWORKS,
    assert_same_results,
    at,
    contract,
    elementwise,
    kernel_program,
    lowered,
    reduce,
    update,
)

from codegen.compressed_rows import network_takes_rows
from codegen.emit.kernel_parts import sparse_weights
from codegen.generation import generate
from codegen.kernel import Argument, Const, Contract, KernelProgram, Negative, Node
from codegen.passes import PIPELINE, run_passes, sparse_inputs
from codegen.verify import verify
from derive.spec import parse_spec

RATE = Negative(Argument("eta"))
PRODUCT = contract("Z[j,i]", "W[j,k]", "X[k,i]", method="blas")
STEP = contract("W[j,k]", "dZ[j,i]", "X[k,i]", method="blas", alpha=RATE, beta=1)


def training(*nodes: Node, inputs: int = 40, **more: tuple[object, ...]) -> KernelProgram:
    """Return Z := W X, dZ := Z Z and then `nodes`, for W (30, inputs)."""
    return verify(
        kernel_program(
            PRODUCT,
            elementwise("dZ[j,i]", at("Z[j,i]")),
            *nodes,
            inputs={"X": (inputs, "B")},
            parameters={"W": (30, inputs)},
            work={"Z": (30, "B"), "dZ": (30, "B"), **more},
            outputs=("Z",),
        )
    )


def methods(program: KernelProgram) -> list[str]:
    return [node.method for node in program.nodes if isinstance(node, Contract)]


def test_the_product_and_the_step_run_over_non_zeros() -> None:
    program = training(STEP)
    chosen = sparse_inputs(program)
    assert methods(chosen) == ["sparse", "sparse"]
    assert_same_results(program, chosen)
    for node, before in zip(chosen.nodes, program.nodes, strict=True):
        if isinstance(node, Contract):
            assert replace(node, method="blas") == before


DECLINED: dict[str, KernelProgram] = {
    "no step": training(),
    "the step is not folded": training(
        contract("dW[j,k]", "dZ[j,i]", "X[k,i]", method="blas"),
        update("W", "dW"),
        dW=(30, 40),
    ),
    "the product is a loop": replace(
        training(STEP), nodes=(replace(PRODUCT, method="loops"), *training(STEP).nodes[1:])
    ),
    "the step is a loop": training(replace(STEP, method="loops")),
    "the product is scaled": replace(
        training(STEP), nodes=(replace(PRODUCT, alpha=Const(2.0)), *training(STEP).nodes[1:])
    ),
    "the inputs have a third reader": training(reduce("s[i]", "k", at("X[k,i]")), STEP, s=("B",)),
    "the weights have a second reader": training(reduce("s[j]", "k", at("W[j,k]")), STEP, s=(30,)),
    "the weights are changed once more": training(STEP, elementwise("W[j,k]", Const(0.0))),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert sparse_inputs(verify(program)) == program


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_only_the_first_layer_of_a_step_and_nothing_else_changes(network: tuple[str, str]) -> None:
    for name, program in lowered(*network).items():
        place = PIPELINE.index(sparse_inputs)
        before, _ = run_passes(program, PIPELINE[:place])
        after, _ = run_passes(program, PIPELINE[: place + 1])
        wide = network[0].startswith("20-40")
        assert methods(after).count("sparse") == (2 if wide and name == "step" else 0)
        assert_same_results(before, after)


WRONG: dict[str, Callable[[KernelProgram], KernelProgram]] = {
    "sign of a product": flip_sign_of_product,
    "transposed factor": transpose_operand,
    "missing mean": drop_mean,
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(spoil: Callable[[KernelProgram], KernelProgram]) -> None:
    program = lowered("3-4-4-2", "cross-entropy")["gradients"]
    with pytest.raises(AssertionError):
        assert_same_results(program, verify(spoil(sparse_inputs(program))))


# on both sides of what decides: whether there are vectors, whether products are calls, the penalty
ASKED = [
    *[
        ("128-32-16-3", 0.0, None),
        ("128-32:softmax-16-3", 0.0, None),
        ("257-16-3", 0.0, None),
        ("120-16:relu-16", 0.0, None),
    ],
    *[("33-30-30-3", 0.0, None), ("33-31-30-3", 0.0, "adam")],
    *[("4-300-3", 0.0, None), ("5-300-3", 0.0, None), ("64-40-3", 1e-3, None)],
]


@pytest.mark.parametrize(("text", "l2", "optimizer"), ASKED)
def test_a_network_knows_what_its_module_takes(text: str, l2: float, optimizer: str | None) -> None:
    spec = parse_spec(text, l2=l2)
    source = generate(spec, optimizer=optimizer)
    assert network_takes_rows(spec) == (sparse_weights(source.programs["step"]) is not None)
