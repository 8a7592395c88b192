"""`fold_update`: a step is part of the sum that makes its gradient."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kernel_mutants import flip_sign_of_product, move_up, overwrite
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
    update,
)

from codegen.kernel import (
    Argument,
    Const,
    Contract,
    KernelProgram,
    Negative,
    Node,
    Reduce,
    Update,
    writes,
)
from codegen.passes import fold_update
from codegen.verify import verify

INPUTS: dict[str, Shape] = {"dZ": (2, "B"), "H": (3, "B")}
PARAMETERS: dict[str, Shape] = {"W": (2, 3), "b": (2,), "S": (2, 2)}
MADE = contract("dW[j,k]", "dZ[j,i]", "H[k,i]")
READS_OLD = contract("dH[k,i]", "W[j,k]", "dZ[j,i]")
STEP_NODE = update("W", "dW")


WORK: dict[str, Shape] = {
    "dW": (2, 3),
    "db": (2,),
    "dS": (2, 2),
    "dH": (3, "B"),
    "U": (2, 3),
}


def step(*nodes: Node, outputs: tuple[str, ...] = ("dH",)) -> KernelProgram:
    written = {name for node in nodes for name in writes(node)}
    return kernel_program(
        *nodes,
        inputs=INPUTS,
        parameters=PARAMETERS,
        work={name: shape for name, shape in WORK.items() if name in written},
        outputs=outputs,
    )


STEP = step(MADE, READS_OLD, STEP_NODE)


def test_folding_changes_no_result() -> None:
    folded = fold_update(STEP)
    assert [node.out for node in folded.nodes] == ["dH", "W"]  # type: ignore[union-attr]
    assert_same_results(STEP, verify(folded))


def test_the_form_of_the_folded_step() -> None:
    _, node = fold_update(STEP).nodes
    assert node == replace(
        MADE, out="W", alpha=Negative(Argument("eta")), beta=1, origin=("dW[j,k]", "W")
    )


APPLIES: dict[str, KernelProgram] = {
    "a scaled product": step(replace(MADE, alpha=Const(0.5)), READS_OLD, STEP_NODE),
    "a sum over the batch": step(reduce("db[j]", "i", at("dZ[j,i]")), READS_OLD, update("b", "db")),
    "a scaled sum": step(
        reduce("db[j]", "i", at("dZ[j,i]"), alpha=Const(3.0)), READS_OLD, update("b", "db")
    ),
    "the step follows at once": step(MADE, STEP_NODE, outputs=()),
    "two parameters": step(
        MADE,
        reduce("db[j]", "i", at("dZ[j,i]")),
        READS_OLD,
        STEP_NODE,
        update("b", "db"),
    ),
    "the parameter is read after the step": step(MADE, STEP_NODE, READS_OLD),
}


@pytest.mark.parametrize("program", APPLIES.values(), ids=APPLIES)
def test_applies(program: KernelProgram) -> None:
    folded = fold_update(verify(program))
    assert not any(isinstance(node, Update) for node in folded.nodes)
    assert_same_results(program, verify(folded))


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_every_step_of_every_network_is_folded(network: tuple[str, str]) -> None:
    program = lowered(*network)["step"]
    program = replace(program, outputs=())  # training keeps no gradient
    folded = verify(fold_update(program))
    assert not any(isinstance(node, Update) for node in folded.nodes)
    assert_same_results(program, folded)


def test_gradients_that_are_asked_for_are_kept() -> None:
    program = lowered("2-10-3", "cross-entropy")["step"]
    assert set(program.outputs) == {"W1", "b1", "W2", "b2"}, "parameters, not gradients"
    kept = replace(program, outputs=("dW1", "db1", "dW2", "db2"))
    assert fold_update(kept) == kept


DECLINED: dict[str, KernelProgram] = {
    "the gradient is an output": step(MADE, READS_OLD, STEP_NODE, outputs=("dH", "dW")),
    "the gradient has a second reader": step(
        MADE, elementwise("U[j,k]", at("dW[j,k]")), STEP_NODE, outputs=("U",)
    ),
    "two parameters share a gradient": step(MADE, STEP_NODE, STEP_NODE, outputs=()),
    "the gradient comes from no sum": step(
        elementwise("dW[j,k]", at("b[j]")), STEP_NODE, outputs=()
    ),
    "the gradient is given": kernel_program(
        update("W", "G"),
        inputs={"G": (2, 3)},
        parameters={"W": (2, 3)},
    ),
    "the largest entry is no sum": step(
        reduce("db[j]", "i", at("dZ[j,i]"), "max"), update("b", "db"), outputs=()
    ),
    "the product reads the parameter": step(
        contract("dS[j,k]", "S[j,m]", "S[m,k]"), update("S", "dS"), outputs=()
    ),
    "a factor is updated in between": kernel_program(
        contract("dW[j,k]", "S[j,m]", "V[m,k]"),
        elementwise("S[j,k]", at("b[j]")),
        STEP_NODE,
        parameters={**PARAMETERS, "V": (2, 3)},
        work={"dW": (2, 3)},
    ),
    "the gradient is added to, and read again by the next step": kernel_program(
        contract("v[j,k]", "dZ[j,i]", "H[k,i]", beta=1),
        update("W", "v"),
        inputs=INPUTS,
        parameters={"W": (2, 3), "v": (2, 3)},
    ),
    "the gradient is kept for the next step": kernel_program(
        contract("v[j,k]", "dZ[j,i]", "H[k,i]"),
        update("W", "v"),
        inputs=INPUTS,
        parameters={"W": (2, 3), "v": (2, 3)},
    ),
    "the product starts from a bias": step(replace(MADE, start=at("b[j]")), STEP_NODE, outputs=()),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert fold_update(verify(program)) == program


WRONG: dict[str, Callable[[KernelProgram], KernelProgram]] = {
    "sign flipped": flip_sign_of_product,
    "old value lost": overwrite,
    "product moved up": move_up,
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(spoil: Callable[[KernelProgram], KernelProgram]) -> None:
    wrong = verify(spoil(fold_update(STEP)))
    with pytest.raises(AssertionError):
        assert_same_results(STEP, wrong)


def test_contract_and_reduce_are_all_that_is_folded() -> None:
    made = {type(node) for p in APPLIES.values() for node in fold_update(p).nodes}
    assert made == {Contract, Reduce}
