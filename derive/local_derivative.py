"""The derivative of one statement's definition in one of its operands, entry by entry."""

from sympy import Expr, Integer, KroneckerDelta, Mul

from derive.body_slopes import slopes
from derive.gradient import summed
from derive.indices import rename, with_fresh_sums
from derive.program import Partial, Statement, indices_of, tensor_of


def local_derivative(statement: Statement, partial: Partial) -> Expr:
    """Return what a derivative in a recorded step is, by the rule of `derive.gradient`.

    Parameters
    ----------
    statement
        What defines ``T``.
    partial
        ``Partial(T[o], U[p])``.

    Returns
    -------
    Expr
        In the indices of `partial`, with Kronecker deltas that tie them, and sums under fresh
        names, which `derive.indices.canonical` replaces.
    """
    function, variable = partial.args
    place = dict(zip(statement.indices, indices_of(function), strict=True))
    # the names that the sums of a body bind may be those of the place
    body = rename(with_fresh_sums(statement.body), place)
    total: Expr = Integer(0)
    for slope in slopes(body, tensor_of(variable)):
        deltas = Mul(*map(KroneckerDelta, slope.position, indices_of(variable)))
        total += summed(slope.value * deltas, slope.bound)
    return total
