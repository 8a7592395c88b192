"""The passes, in the order in which they run."""

from codegen.passes.choose_matmul import choose_matmul
from codegen.passes.fold_update import fold_update
from codegen.passes.fuse import fuse
from codegen.passes.keep_in_registers import keep_in_registers
from codegen.passes.reuse_memory import reuse_memory
from codegen.passes.run import Pass, PassReport, run_passes
from codegen.passes.share import share
from codegen.passes.sparse_inputs import sparse_inputs, sparse_like
from codegen.passes.start_from_bias import start_from_bias

PIPELINE: tuple[Pass, ...] = (
    share,  # first: what two statements both compute is easiest to see before fusion
    start_from_bias,  # before fusion, which would hide the addition in a larger loop
    fold_update,  # after sharing, so that a gradient with a second reader is known
    fuse,  # neighbours are known once the products have taken what they can
    choose_matmul,  # it looks at the products that are left
    sparse_inputs,  # it looks at what goes through BLAS, and whether the step is folded
    keep_in_registers,  # after fusion, which decides what is read outside of its loop
    reuse_memory,  # last: lifetimes are known once no node moves any more
)

# For the vectors of a small network: its sums over samples are reduced together, after the
# last of them, so that no step is folded into one, and none is a call of BLAS. What is in a
# register, and what shares memory, depends on which nodes share a loop: `emit.lanes` decides.
LANES_PIPELINE: tuple[Pass, ...] = (share, start_from_bias, fuse)

# For the chunks of samples of a large network in C: as above, with a loop for each node.
CHUNKS_PIPELINE: tuple[Pass, ...] = (*LANES_PIPELINE, keep_in_registers, reuse_memory)

__all__ = [
    "CHUNKS_PIPELINE",
    "LANES_PIPELINE",
    "PIPELINE",
    "Pass",
    "PassReport",
    "choose_matmul",
    "fold_update",
    "fuse",
    "keep_in_registers",
    "reuse_memory",
    "run_passes",
    "share",
    "sparse_inputs",
    "sparse_like",
    "start_from_bias",
]
