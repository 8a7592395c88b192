"""Let a product start from the bias that is added to it.

``T := left · right`` then ``Z[j,i] := T[j,i] + b[j]`` becomes one product whose sums start
at ``b[j]``: the bias costs nothing, and ``T`` is never stored.
"""

from dataclasses import replace

from codegen.kernel import (
    Binary,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Store,
    Value,
    reads,
)


def start_from_bias(program: KernelProgram) -> KernelProgram:
    """Return `program` with every bias that is only added taken into its product."""
    nodes = list(program.nodes)
    for node in program.nodes:
        match node:
            case Elementwise(stores=(Store() as store,)):
                found = _product_and_bias(program, node, store)
            case _:
                continue
        if found is not None:
            product, bias = found
            started = replace(
                product,
                out=store.buffer,
                out_axes=store.axes,
                start=bias,
                origin=tuple(dict.fromkeys(product.origin + node.origin)),
            )
            # it moves down to the addition, so whatever the addition reads is written
            nodes[nodes.index(node)] = started
            nodes.remove(product)
    return replace(program, nodes=tuple(nodes))


def _product_and_bias(
    program: KernelProgram, node: Elementwise, store: Store
) -> tuple[Contract, Load] | None:
    value: Value = store.value
    match value:
        case Binary(op="+", left=Load() as first, right=Load() as second):
            pairs = ((first, second), (second, first))
        case _:
            return None
    for total, bias in pairs:
        product = program.writer(total.buffer)
        if (
            isinstance(product, Contract)
            and product.start is None
            and program.buffer(total.buffer).role == "work"
            and total.axes == store.axes == product.out_axes
            and set(bias.axes) < set(store.axes)
            and total.buffer not in program.outputs
            and program.readers(total.buffer) == (node,)
            and not _overwritten(program, product, node, store) & set(reads(product))
        ):
            return product, bias
    return None


def _overwritten(
    program: KernelProgram, product: Contract, node: Elementwise, store: Store
) -> set[str]:
    """Return what changes on the product's way down; gemm must not write what it reads."""
    return program.written_between(product, node) | {store.buffer}
