"""What a kernel programme costs, against counts by hand, and against what passes promise."""

from itertools import pairwise

import pytest
from kernels import NETWORKS, lowered

from codegen.cost import Cost, cost
from codegen.kernel import Buffer, Const, Contract, KernelProgram, Load
from codegen.passes import PIPELINE, run_passes


def product(start: bool = False, dtype: str = "float32") -> KernelProgram:
    buffers = {"W": (3, 4), "X": (4, "B"), "b": (3,), "Z": (3, "B")}
    roles = {"W": "parameter", "b": "parameter", "X": "input", "Z": "output"}
    return KernelProgram(
        name="product",
        dtype=dtype,  # type: ignore[arg-type]
        buffers=tuple(
            Buffer(name=n, shape=s, role=roles[n], dtype=dtype)  # type: ignore[arg-type]
            for n, s in buffers.items()
        ),
        nodes=(
            Contract(
                out="Z",
                out_axes=("j", "i"),
                left=Load("W", ("j", "k")),
                right=Load("X", ("k", "i")),
                start=Load("b", ("j",)) if start else None,
            ),
        ),
        outputs=("Z",),
    )


def test_a_product_by_hand() -> None:
    # 3 by 5 results: 4 products, 3 sums; 12 weights, 20 inputs and 15 results of 4 bytes
    assert cost(product(), 5) == Cost(operations=105, functions=0, bytes=4 * 47)
    # with a bias to start from: one sum and 3 numbers more
    assert cost(product(start=True), 5) == Cost(operations=120, functions=0, bytes=4 * 50)
    assert cost(product(dtype="float64"), 5).bytes == 8 * 47


def test_a_scaled_product() -> None:
    (node,) = product().nodes
    assert isinstance(node, Contract)
    scaled = Contract(
        out=node.out, out_axes=node.out_axes, left=node.left, right=node.right, alpha=Const(0.5)
    )
    program = product()
    more = cost(
        KernelProgram(
            name="scaled",
            dtype="float32",
            buffers=program.buffers,
            nodes=(scaled,),
            outputs=("Z",),
        ),
        5,
    )
    assert more.operations - cost(program, 5).operations == 15


def test_the_functions_of_the_labs_network() -> None:
    forward, _ = run_passes(lowered("2-10-2", "cross-entropy")["forward"], PIPELINE)
    assert cost(forward, 7).functions == 7 * (10 + 2), "tanh of hidden units, exp of outputs"


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_no_pass_makes_a_step_dearer(network: tuple[str, str]) -> None:
    _, reports = run_passes(lowered(*network)["step"], PIPELINE, interpret=False)
    for report in reports:
        before, after = report.costs
        assert after.operations <= before.operations, report.name
        assert after.functions <= before.functions, report.name
        if report.name != "share":  # which stores what it keeps from being computed twice
            assert after.bytes <= before.bytes, report.name
    assert all(one.costs[1] == other.costs[0] for one, other in pairwise(reports))
    by_name = {report.name: report.costs for report in reports}
    folded = by_name["fold_update"]
    assert folded[1].bytes < folded[0].bytes, "the gradients are not stored"
