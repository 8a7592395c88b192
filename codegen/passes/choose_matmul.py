"""Choose loops of our own or BLAS for each product.

A call of BLAS costs about a microsecond before it multiplies anything, and a small network
is done by then; a loop over samples in vectors keeps up as long as the other sum is short
enough to be unrolled. Measured on products of 2 to 1,024 units, batch 10 to 128.
"""

from dataclasses import replace

from codegen.kernel import BATCH, Contract, KernelProgram

MOST_UNROLLED = 16  # terms of a sum that the compiler unrolls
MOST_PAIRS = 256  # entries of the weight matrix


def choose_matmul(program: KernelProgram) -> KernelProgram:
    """Return `program` with a method for each product, and its inputs stored to suit.

    If any product goes through BLAS, an input that only such products read is stored as
    it comes, sample by sample, so that a batch is gathered by copying rows.
    """
    nodes = tuple(_chosen(program, n) if isinstance(n, Contract) else n for n in program.nodes)
    chosen = replace(program, nodes=nodes)
    buffers = tuple(
        replace(buffer, batch_first=True)
        if buffer.role == "input" and _only_blas_reads(chosen, buffer.name)
        else buffer
        for buffer in program.buffers
    )
    return replace(chosen, buffers=buffers)


def _chosen(program: KernelProgram, product: Contract) -> Contract:
    weights = [
        extent
        for load in (product.left, product.right)
        for axis, extent in zip(load.axes, program.buffer(load.buffer).shape, strict=True)
        if extent != BATCH and (axis != product.axis or load is product.left)
    ]
    pairs = 1
    for extent in weights:
        pairs *= int(extent)
    left_shape = program.buffer(product.left.buffer).shape
    terms = left_shape[product.left.axes.index(product.axis)]
    short = terms == BATCH or int(terms) <= MOST_UNROLLED
    small = short and pairs <= MOST_PAIRS
    return replace(product, method="loops" if small else "blas")


def _only_blas_reads(program: KernelProgram, name: str) -> bool:
    readers = program.readers(name)
    shape = program.buffer(name).shape
    return (
        shape[-1:] == (BATCH,)
        and bool(readers)
        and all(isinstance(node, Contract) and node.method == "blas" for node in readers)
    )
