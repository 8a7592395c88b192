"""Fold an SGD step into the sum that makes its gradient.

``dW := a·(dZᵀ H)`` then ``W := W - r·dW`` becomes ``W := W - (r·a)·(dZᵀ H)``: one product
with ``alpha = -r·a`` and ``beta = 1``, and ``dW`` is never stored. A bias's gradient, a sum
over the batch, is folded in the same way.
"""

from dataclasses import replace

from codegen.kernel import (
    Binary,
    Const,
    Contract,
    KernelProgram,
    Negative,
    Reduce,
    Update,
    Value,
    reads,
)


def fold_update(program: KernelProgram) -> KernelProgram:
    """Return `program` with every step folded whose gradient nobody else needs.

    The sum moves down to the step, never the step up to the sum: whoever reads the old
    parameter in between, such as ``dH := dZ W``, still sees it.
    """
    nodes = list(program.nodes)
    for step in program.nodes:
        if isinstance(step, Update) and (made := _foldable(step, program)) is not None:
            folded = replace(
                made,
                out=step.parameter,
                alpha=_minus_times(step.rate, made.alpha),
                beta=1,
                origin=made.origin + step.origin,
            )
            nodes[nodes.index(step)] = folded
            nodes.remove(made)
    return replace(program, nodes=tuple(nodes))


def _foldable(step: Update, program: KernelProgram) -> Contract | Reduce | None:
    """Return the sum that makes the gradient, if it may stand where `step` stands."""
    made = program.writer(step.gradient)
    kept = step.gradient in program.outputs or program.buffer(step.gradient).role != "work"
    if kept or program.readers(step.gradient) != (step,) or not isinstance(made, Contract | Reduce):
        return None
    if isinstance(made, Contract) and made.start is not None:
        return None
    if isinstance(made, Reduce) and made.op != "sum":
        return None
    # what it reads must not change on the way down, and gemm must not write what it reads
    overwritten = program.written_between(made, step) | {step.parameter}
    return None if overwritten & set(reads(made)) else made


def _minus_times(rate: Value, alpha: Value) -> Value:
    return Negative(rate if alpha == Const(1.0) else Binary("*", rate, alpha))
