"""`choose_matmul`: own loops or BLAS for each product, and inputs stored to suit."""

from collections.abc import Callable

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
)

from codegen.generation import generate
from codegen.kernel import Binary, Const, Contract, KernelProgram
from codegen.passes import choose_matmul
from codegen.product_cost import UNROLLED
from codegen.verify import verify
from derive.spec import parse_spec


def layer(units: int, inputs: int) -> KernelProgram:
    """Return Z := W X."""
    return kernel_program(
        contract("Z[j,i]", "W[j,k]", "X[k,i]"),
        inputs={"X": (inputs, "B")},
        parameters={"W": (units, inputs)},
        work={"Z": (units, "B")},
        outputs=("Z",),
    )


def gradient(units: int, inputs: int) -> KernelProgram:
    """Return dW := dZ Xᵀ, a sum over the samples."""
    return kernel_program(
        contract("dW[j,k]", "dZ[j,i]", "X[k,i]"),
        inputs={"X": (inputs, "B"), "dZ": (units, "B")},
        work={"dW": (units, inputs)},
        outputs=("dW",),
    )


def gradient_within(units: int, inputs: int) -> KernelProgram:
    """Return dW := dZ Hᵀ, with H = 2 X."""
    return kernel_program(
        elementwise("H[k,i]", Binary("*", Const(2.0), at("X[k,i]"))),
        contract("dW[j,k]", "dZ[j,i]", "H[k,i]"),
        inputs={"X": (inputs, "B"), "dZ": (units, "B")},
        work={"dW": (units, inputs), "H": (inputs, "B")},
        outputs=("dW",),
    )


def method(program: KernelProgram) -> str:
    (*_, node) = choose_matmul(program).nodes
    assert isinstance(node, Contract)
    return node.method


CHOSEN: dict[str, tuple[KernelProgram, str]] = {
    "small": (layer(10, 2), "loops"),
    "a sum as long as is unrolled": (layer(2, UNROLLED), "loops"),
    "a sum one longer": (layer(2, UNROLLED + 1), "blas"),
    "as many weights as loops take": (layer(16, 16), "loops"),
    "more weights": (layer(60, 16), "blas"),
    "gradient of a small layer": (gradient(10, 2), "loops"),
    "gradient of more units": (gradient(10, 16), "blas"),
    "gradient over many units": (gradient_within(2, 100), "loops"),
    "gradient over as many inputs, which are to be copied by rows": (gradient(2, 100), "blas"),
    "gradient of MNIST's first layer": (gradient(100, 784), "blas"),
    "MNIST's first layer": (layer(100, 784), "blas"),
}


@pytest.mark.parametrize(("program", "chosen"), CHOSEN.values(), ids=CHOSEN)
def test_the_size_decides(program: KernelProgram, chosen: str) -> None:
    assert method(program) == chosen


def test_inputs_that_only_blas_reads_are_stored_as_they_come() -> None:
    chosen = choose_matmul(layer(100, 784))
    assert chosen.buffer("X").batch_first
    assert not any(chosen.buffer(name).batch_first for name in ("W", "Z"))


def test_a_programme_that_does_not_read_the_inputs_has_no_say() -> None:
    """Such as mae's Hessian times a direction where there is no hidden layer: it is 0."""
    network = parse_spec("784-10", loss="mae")
    assert ", X[begin:end], " in generate(network, hvp=True).text


def test_what_is_computed_stays_samples_last() -> None:
    program = kernel_program(
        contract("H[j,i]", "W[j,k]", "X[k,i]"),
        contract("Z[m,i]", "V[m,j]", "H[j,i]"),
        inputs={"X": (784, "B")},
        parameters={"W": (100, 784), "V": (10, 100)},
        work={"H": (100, "B"), "Z": (10, "B")},
        outputs=("Z",),
    )
    assert [b.name for b in choose_matmul(program).buffers if b.batch_first] == ["X"]


NOT_BY_ROWS: dict[str, KernelProgram] = {
    "loops read it": layer(10, 2),
    "a loop reads it beside BLAS": kernel_program(
        contract("Z[j,i]", "W[j,k]", "X[k,i]"),
        reduce("s[i]", "k", at("X[k,i]")),
        inputs={"X": (784, "B")},
        parameters={"W": (100, 784)},
        work={"Z": (100, "B"), "s": ("B",)},
        outputs=("Z", "s"),
    ),
    "it is a row of numbers": kernel_program(
        elementwise("Z[j,i]", at("X[i]")),
        inputs={"X": ("B",)},
        work={"Z": (3, "B")},
        outputs=("Z",),
    ),
    "nobody reads it": kernel_program(
        contract("Z[j,i]", "W[j,k]", "A[k,i]"),
        inputs={"X": (784, "B"), "A": (784, "B")},
        parameters={"W": (100, 784)},
        work={"Z": (100, "B")},
        outputs=("Z",),
    ),
    "it has no samples": kernel_program(
        contract("Z[j,m]", "W[j,k]", "X[k,m]"),
        inputs={"X": (784, 20)},
        parameters={"W": (100, 784)},
        work={"Z": (100, 20)},
        outputs=("Z",),
    ),
}


@pytest.mark.parametrize("program", NOT_BY_ROWS.values(), ids=NOT_BY_ROWS)
def test_other_inputs_are_not(program: KernelProgram) -> None:
    assert not choose_matmul(verify(program)).buffer("X").batch_first


def test_a_programme_without_products_is_left_alone() -> None:
    program = NOT_BY_ROWS["it is a row of numbers"]
    assert choose_matmul(program) == program


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_every_product_is_decided_and_nothing_else_changes(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        chosen = verify(choose_matmul(program))
        products = [node for node in chosen.nodes if isinstance(node, Contract)]
        assert all(node.method != "undecided" for node in products)
        assert [n for n in chosen.nodes if not isinstance(n, Contract)] == [
            n for n in program.nodes if not isinstance(n, Contract)
        ]
        assert_same_results(program, chosen)


WRONG: dict[str, Callable[[KernelProgram], KernelProgram]] = {
    "sign of a product": flip_sign_of_product,
    "transposed factor": transpose_operand,
    "missing mean": drop_mean,
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_the_comparison_can_fail(spoil: Callable[[KernelProgram], KernelProgram]) -> None:
    program = lowered("3-4-4-2", "cross-entropy")["gradients"]
    with pytest.raises(AssertionError):
        assert_same_results(program, verify(spoil(choose_matmul(program))))
