"""From index notation to a kernel programme: statement by statement, sum by sum.

What holds afterwards: every sum of a product of two matrices over a shared axis is a
`Contract`; every other sum and every row maximum is a `Reduce` of a value without sums; a
reduction over the batch reads a single buffer; the rest is `Elementwise`. Nothing is
chosen yet: which loops, which memory and which library is for the passes to say.
"""

from sympy import Expr, Indexed, Mul, Sum, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits

from codegen.errors import InputError, InternalError
from codegen.kernel import (
    Buffer,
    Contract,
    Dtype,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Role,
    Store,
    loads,
)
from codegen.scalar import is_batch, value_of
from derive.printing import statement_text
from derive.program import BATCH as BATCH_SIZE
from derive.program import MaxOver, Program, Statement, Tensor, base, scalar


def lower(
    program: Program, *, name: str, outputs: tuple[str, ...], dtype: Dtype = "float32"
) -> KernelProgram:
    """Return the kernel programme that computes `outputs`.

    Parameters
    ----------
    program
        A programme whose sizes are integers; only the batch is symbolic.
    name
        What to call the result in messages.
    outputs
        Names of tensors; statements that none of them needs are left out.
    dtype
        ``"float32"`` or ``"float64"``, the type of every buffer.

    Raises
    ------
    InputError
        If a size is a name.
    InternalError
        If a statement has a part that kernels do not have.
    """
    lowering = _Lowering(dtype)
    for tensor in program.inputs:
        role: Role = "parameter" if tensor.name in program.parameters else "input"
        lowering.declare(tensor, role)
    for statement in _needed(program, outputs):
        role = "output" if statement.name in outputs else "work"
        lowering.declare(statement.target, role)
        lowering.lower_statement(statement)
    return KernelProgram(
        name=name,
        dtype=dtype,
        buffers=tuple(lowering.buffers.values()),
        nodes=tuple(lowering.nodes),
        outputs=outputs,
    )


class _Lowering:
    """The nodes and buffers so far."""

    def __init__(self, dtype: Dtype) -> None:
        self.dtype = dtype
        self.buffers: dict[str, Buffer] = {}
        self.nodes: list[Node] = []

    def declare(self, tensor: Tensor, role: Role) -> None:
        self.buffers[tensor.name] = Buffer(
            name=tensor.name, shape=_stored_shape(tensor), role=role, dtype=self.dtype
        )

    def lower_statement(self, statement: Statement) -> None:
        origin = (statement_text(statement, form="matrix"),)
        extents: dict[Symbol, Expr] = dict(
            zip(statement.indices, statement.target.shape, strict=True)
        )
        axes = _stored_axes(statement.indices)
        if isinstance(statement.body, ExprWithLimits):
            self.lower_sum(statement.body, statement.name, axes, extents, origin)
            return
        body = self.without_sums(statement.body, statement.name, extents, origin)
        store = Store(buffer=statement.name, axes=axes, value=value_of(body))
        self.nodes.append(Elementwise(axes=axes, stores=(store,), origin=origin))

    def without_sums(
        self, body: Expr, name: str, extents: dict[Symbol, Expr], origin: tuple[str, ...]
    ) -> Expr:
        """Return `body` with every outermost sum computed first, into a buffer of its own."""
        if isinstance(body, ExprWithLimits):
            return self.temporary(body, name, extents, origin)
        if isinstance(body, Indexed) or not body.has(ExprWithLimits):
            return body
        return body.func(*(self.without_sums(a, name, extents, origin) for a in body.args))

    def temporary(
        self, body: Expr, name: str, extents: dict[Symbol, Expr], origin: tuple[str, ...]
    ) -> Expr:
        free = [symbol for symbol in extents if body.has_free(symbol)]
        target = Tensor(name=self.unused(name), shape=tuple(extents[symbol] for symbol in free))
        self.declare(target, "work")
        inner = {symbol: extents[symbol] for symbol in free}
        if isinstance(body, ExprWithLimits):
            self.lower_sum(body, target.name, _stored_axes(tuple(free)), inner, origin)
        else:
            axes = _stored_axes(tuple(free))
            plain = self.without_sums(body, name, inner, origin)
            store = Store(buffer=target.name, axes=axes, value=value_of(plain))
            self.nodes.append(Elementwise(axes=axes, stores=(store,), origin=origin))
        return base(target.name)[tuple(free)] if free else scalar(target.name)

    def lower_sum(
        self,
        body: Expr,
        out: str,
        axes: tuple[str, ...],
        extents: dict[Symbol, Expr],
        origin: tuple[str, ...],
    ) -> None:
        """Append the nodes that compute a sum, or a largest entry, into `out`."""
        *inner_limits, (symbol, _, last) = body.limits
        term = body.func(body.function, *inner_limits) if inner_limits else body.function
        inside = {**extents, symbol: last + 1}
        product = _as_product(term, symbol) if isinstance(body, Sum) else None
        if product is not None:
            left, right = _in_matrix_order(product, axes)
            self.nodes.append(
                Contract(out=out, out_axes=axes, left=left, right=right, origin=origin)
            )
            return
        plain = self.without_sums(term, out, inside, origin)
        if is_batch(str(symbol)) and not isinstance(plain, Indexed):
            plain = self.temporary(plain, out, inside, origin)
        self.nodes.append(
            Reduce(
                out=out,
                out_axes=axes,
                axis=str(symbol),
                op="max" if isinstance(body, MaxOver) else "sum",
                value=value_of(plain),
                origin=origin,
            )
        )

    def unused(self, name: str) -> str:
        number = 1
        while f"{name}_t{number}" in self.buffers:
            number += 1
        return f"{name}_t{number}"


def _needed(program: Program, outputs: tuple[str, ...]) -> list[Statement]:
    wanted = set(outputs)
    kept = []
    for statement in reversed(program.statements):
        if statement.name in wanted:
            wanted |= set(statement.reads())
            kept.append(statement)
    return kept[::-1]


def _stored_shape(tensor: Tensor) -> tuple[Extent, ...]:
    """Return a tensor's shape as it is stored: its batch axis last."""
    fixed: list[Extent] = []
    batch: list[Extent] = []
    for extent in tensor.shape:
        if extent == BATCH_SIZE:
            batch.append("B")
        elif extent.is_Integer:
            fixed.append(int(extent))
        else:
            raise InputError(
                f"{tensor.name} has a size called {extent}; code needs numbers. "
                "Write the sizes as integers, for example 2-10-2."
            )
    if len(batch) > 1:
        raise InternalError(f"{tensor.name} has {len(batch)} batch axes")
    return (*fixed, *batch)


def _stored_axes(indices: tuple[Symbol, ...]) -> tuple[str, ...]:
    names = [str(symbol) for symbol in indices]
    return (*(n for n in names if not is_batch(n)), *(n for n in names if is_batch(n)))


def _as_product(term: Expr, symbol: Symbol) -> tuple[Load, Load] | None:
    """Return the two matrices of a term whose sum over `symbol` is their product."""
    if not isinstance(term, Mul) or len(term.args) != 2:
        return None
    if not all(isinstance(factor, Indexed) for factor in term.args):
        return None
    left, right = (next(loads(value_of(factor))) for factor in term.args)
    shared = set(left.axes) & set(right.axes)
    if shared != {str(symbol)} or len(left.axes) != 2 or len(right.axes) != 2:
        return None
    return left, right


def _in_matrix_order(product: tuple[Load, Load], axes: tuple[str, ...]) -> tuple[Load, Load]:
    """Order a product's factors as the result's axes are: rows from the left one."""
    left, right = product
    return (left, right) if axes[0] in left.axes else (right, left)


__all__ = ["lower"]
