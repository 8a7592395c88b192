"""`keep_in_registers`: what only its own loop reads needs no memory."""

from dataclasses import replace

import pytest
from kernels import (
    NETWORKS,
    assert_same_results,
    at,
    elementwise,
    kernel_program,
    lowered,
    reduce,
)

from codegen.cost import cost
from codegen.errors import InternalError
from codegen.kernel import Binary, Elementwise, KernelProgram, Node
from codegen.passes import fuse, keep_in_registers, share
from codegen.verify import verify

INPUTS = {"E": (2, "B"), "Y": (2, "B"), "S": ("B",)}


def fused(*more: Node, outputs: tuple[str, ...] = ("U",)) -> KernelProgram:
    """Return ``T := E / S; U := T - Y`` in one loop, and what follows."""
    over, less = Binary("/", at("E[j,i]"), at("S[i]")), Binary("-", at("T[j,i]"), at("Y[j,i]"))
    first, second = elementwise("T[j,i]", over), elementwise("U[j,i]", less)
    loop = Elementwise(axes=("j", "i"), stores=first.stores + second.stores)
    work = {"T": (2, "B"), "U": (2, "B"), "r": ("B",)}
    written = {"T", "U"} | ({"r"} if more else set())
    return kernel_program(
        loop,
        *more,
        inputs=INPUTS,
        work={name: shape for name, shape in work.items() if name in written},
        outputs=outputs,
    )


def test_what_only_its_loop_reads_has_no_memory() -> None:
    kept = verify(keep_in_registers(fused()))
    assert [b.role for b in kept.buffers if b.name in "TU"] == ["register", "output"]
    assert kept.nodes == fused().nodes
    assert_same_results(fused(), kept)
    assert keep_in_registers(kept) == kept
    # two rows of it are not written
    assert cost(fused(), 10).bytes - cost(kept, 10).bytes == 2 * 10 * 8


DECLINED = {
    "it is an output": fused(outputs=("T", "U")),
    "another node reads it": fused(reduce("r[i]", "j", at("T[j,i]")), outputs=("U", "r")),
    "nothing reads it": kernel_program(
        elementwise("T[j,i]", at("E[j,i]")), inputs=INPUTS, work={"T": (2, "B")}, outputs=()
    ),
}


@pytest.mark.parametrize("program", DECLINED.values(), ids=DECLINED)
def test_declines(program: KernelProgram) -> None:
    assert keep_in_registers(verify(program)) == program


@pytest.mark.parametrize("network", NETWORKS[::4], ids=" ".join)
def test_networks(network: tuple[str, str]) -> None:
    for name, lowered_program in lowered(*network).items():
        program = fuse(share(lowered_program))
        kept = verify(keep_in_registers(program))
        assert_same_results(program, kept)
        if name == "step" and network[1] == "cross-entropy" and "sigmoid" not in network[0][-8:]:
            assert [b.name for b in kept.buffers if b.role == "register"] == ["P"]


BROKEN = {
    "read by another node": (
        fused(reduce("r[i]", "j", at("T[j,i]")), outputs=("U", "r")),
        "T is read, and has no memory",
    ),
    "an output": (fused(outputs=("T", "U")), "the output T has no memory"),
    "a sum": (
        kernel_program(
            reduce("T[i]", "j", at("E[j,i]")), inputs=INPUTS, work={"T": ("B",)}, outputs=()
        ),
        "T is a sum, and has no memory",
    ),
}


@pytest.mark.parametrize(("program", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_needed_elsewhere_must_have_memory(program: KernelProgram, message: str) -> None:
    buffers = tuple(replace(b, role="register") if b.name == "T" else b for b in program.buffers)
    with pytest.raises(InternalError, match=message):
        verify(replace(program, buffers=buffers))
