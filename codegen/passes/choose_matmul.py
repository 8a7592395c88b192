"""Choose loops of our own or a call for each product, by the model of what they cost.

A call is of our own product in tiles where the processor has registers of 512 bits, and of BLAS
where it has not: `codegen.product_cost` knows what each costs, and chooses.
"""

from dataclasses import replace

from codegen.kernel import BATCH, Buffer, Contract, KernelProgram, Load
from codegen.product_cost import BATCHES, UNROLLED, Product, choose


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
    if _has_many_inputs(program, product):  # or they would not be copied by rows, nor be sparse
        return replace(product, method="blas")
    chosen = choose(product_of(program, product, batch) for batch in BATCHES)
    return replace(product, method="loops" if chosen == "loops" else "blas")


def inputs_go_through_calls(inputs: int, units: int) -> bool:
    """Whether both products over the inputs of a network are calls, in a step of its training."""
    if inputs > UNROLLED:
        return True
    forward = [Product(rows=units, columns=b, summed=inputs, turned=True) for b in BATCHES]
    gradient = [Product(rows=units, columns=inputs, summed=b, over_samples=True) for b in BATCHES]
    return all(choose(products) != "loops" for products in (forward, gradient))


def _has_many_inputs(program: KernelProgram, product: Contract) -> bool:
    """Whether a factor is the inputs, which are so many that the product with them is a call."""
    factors = (program.buffer(load.buffer) for load in (product.left, product.right))
    inputs = [b.shape[0] for b in factors if b.role == "input" and b.shape[-1:] == (BATCH,)]
    return any(extent != BATCH and int(extent) > UNROLLED for extent in inputs)


def product_of(program: KernelProgram, node: Contract, batch: int) -> Product:
    """Return the sizes of a product for a batch of so many samples, and how its factors lie."""
    extents = program.extents(node.left, node.right)
    sizes = {axis: batch if extent == BATCH else int(extent) for axis, extent in extents.items()}
    rows, columns = node.out_axes
    right = node.right if columns in node.right.axes else node.left
    return Product(
        rows=sizes[rows],
        columns=sizes[columns],
        summed=sizes[node.axis],
        over_samples=extents[node.axis] == BATCH,
        turned=_by_rows(right, program.buffer(right.buffer))[0] == columns,
    )


def _by_rows(load: Load, buffer: Buffer) -> tuple[str, ...]:
    """Return the axes of a factor as it lies in memory; a batch of inputs lies as it comes."""
    return (
        load.axes[::-1] if buffer.role == "input" and buffer.shape[-1:] == (BATCH,) else load.axes
    )


def _only_blas_reads(program: KernelProgram, name: str) -> bool:
    readers = program.readers(name)
    shape = program.buffer(name).shape
    return (
        shape[-1:] == (BATCH,)
        and bool(readers)
        and all(isinstance(node, Contract) and node.method == "blas" for node in readers)
    )
