"""Let the first layer's products run over the inputs that are not 0, where few are.

``Z := b + W X`` and ``W := W - r·(dZ Xᵀ)``, or ``dW := dZ Xᵀ`` for an optimiser that needs the
gradient itself, are all that the kernel of a training step does with the inputs and with the
first layer's weights. Both can then run over compressed rows of inputs, with
the weights stored input-major: the weights of one input are read, or changed, together.
Whether they do is decided when training starts and the inputs are known, so that the
products stay products by BLAS as well.
"""

from dataclasses import replace

from codegen.kernel import (
    BATCH,
    Buffer,
    Const,
    Contract,
    KernelProgram,
    Load,
    Node,
    reads,
    writes,
)


def sparse_inputs(program: KernelProgram) -> KernelProgram:
    """Return `program` with the method ``"sparse"`` for the two products over its inputs.

    It declines where anything else reads the inputs, or reads or changes the weights: that
    would see them as they were before training.
    """
    for inputs in program.buffers:
        pair = _pair(program, inputs) if inputs.role == "input" else None
        if pair is not None:
            nodes = tuple(
                replace(node, method="sparse")
                if isinstance(node, Contract) and node in pair
                else node
                for node in program.nodes
            )
            return replace(program, nodes=nodes)
    return program


def sparse_like(program: KernelProgram, step: KernelProgram) -> KernelProgram:
    """Return `program` with its product over the inputs as a step has it.

    What is trained over non-zeros is evaluated over them, too; it only reads the weights.
    """
    (product,) = _sparse(step)[:1] or (None,)
    if product is None:
        return program
    nodes = tuple(
        replace(node, method="sparse")
        if isinstance(node, Contract)
        and (node.left, node.right, node.start) == (product.left, product.right, product.start)
        else node
        for node in program.nodes
    )
    return replace(program, nodes=nodes)


def _sparse(program: KernelProgram) -> list[Contract]:
    return [n for n in program.nodes if isinstance(n, Contract) and n.method == "sparse"]


def _pair(program: KernelProgram, inputs: Buffer) -> tuple[Contract, Contract] | None:
    """Return the product with the inputs, and the sum over samples that they are a factor of."""
    match program.readers(inputs.name):
        case (Contract() as product, Contract() as step):
            cotangent, factor = _other(step, inputs.name), _other(product, inputs.name)
        case _:
            return None
    plain = product.method == step.method == "blas" and product.alpha == Const(1.0)
    if not plain or product.beta or cotangent is None or factor is None:
        return None
    weights, result = program.buffer(factor.buffer), program.buffer(step.out)
    if weights.role != "parameter" or inputs.shape != (weights.shape[-1], BATCH):
        return None
    units = weights.shape[0]
    shapes = {program.buffer(name).shape for name in (product.out, cotangent.buffer)}
    if shapes != {(units, BATCH)}:
        return None
    touching = [node for node in program.nodes if weights.name in _touched(node)]
    if step.beta:
        return (product, step) if result == weights and touching == [product, step] else None
    # a gradient that the kernel's caller wants is no part of a step
    is_kept = result.role == "work" and result.shape == weights.shape
    is_alone = touching == [product] and not program.readers(result.name)
    return (product, step) if is_kept and is_alone else None


def _other(product: Contract, name: str) -> Load | None:
    """Return the factor beside a buffer."""
    match product.left.buffer == name, product.right.buffer == name:
        case True, False:
            return product.right
        case False, True:
            return product.left
    return None


def _touched(node: Node) -> set[str]:
    return {*reads(node), *writes(node)}
