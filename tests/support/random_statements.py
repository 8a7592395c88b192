"""Random statements of the grammar over a few tensors, from a seed."""

import random

import numpy as np
import sympy
from sympy import Dummy, Expr, Integer, Piecewise, Rational, Symbol

from derive.indices import canonical, fresh, target_indices
from derive.program import BATCH, Statement, Sum, Tensor, size

_N, _M = size("n"), size("m")

TENSORS = (
    Tensor(name="A", shape=(BATCH, _N)),
    Tensor(name="dA", shape=(BATCH, _N)),
    Tensor(name="C", shape=(BATCH, _M)),
    Tensor(name="W", shape=(_M, _N)),
    Tensor(name="u", shape=(BATCH,)),
    Tensor(name="v", shape=(_N,)),
    Tensor(name="c", shape=(_M, Integer(1))),
    Tensor(name="s", shape=()),
)
_TARGETS = ((BATCH, _N), (BATCH, _M), (_M, _N), (_N, _M), (_N,), (BATCH,), (_M, Integer(1)), ())
_FUNCTIONS = (sympy.exp, sympy.tanh, sympy.log, sympy.sin, sympy.atan, sympy.Abs, sympy.erf)


def random_arrays(seed: int, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Return an array for each of `TENSORS`, positive so that logarithms exist."""
    generator = np.random.default_rng(seed)
    named = {size(name): extent for name, extent in sizes.items()}
    return {
        tensor.name: generator.uniform(0.5, 1.5, [int(named.get(e, e)) for e in tensor.shape])
        for tensor in TENSORS
    }


def random_statement(seed: int) -> Statement:
    """Return a statement ``T[...] := body`` with a random body."""
    draw = random.Random(seed)
    shape = draw.choice(_TARGETS)
    indices = target_indices(shape)
    scope = dict(zip(indices, shape, strict=True))
    while True:
        body = canonical(_expression(draw, scope, draw.randint(1, 4)), indices)
        # SymPy 1.14 pulls a Piecewise out of a sum of sums and leaves its index unbound;
        # `check_program` refuses such a statement, and here another one is drawn
        if not any(isinstance(symbol, Dummy) for symbol in body.free_symbols):
            return Statement(target=Tensor(name="T", shape=shape), indices=indices, body=body)


def _expression(draw: random.Random, scope: dict[Symbol, Expr], depth: int) -> Expr:
    if depth == 0:
        return _leaf(draw, scope)

    def part() -> Expr:
        return _expression(draw, scope, draw.randint(0, depth - 1))

    match draw.choice(
        (
            "sum",
            "sum",
            "add",
            "subtract",
            "times",
            "times",
            "over",
            "power",
            "call",
            "where",
            "root",
        )
    ):
        case "sum":
            k, extent = fresh(), draw.choice((BATCH, _N, _M))
            inner = _expression(draw, scope | {k: extent}, depth - 1)
            inner *= _expression(draw, scope | {k: extent}, 0)
            return Sum(inner, (k, 0, extent - 1))
        case "add":
            return part() + part()
        case "subtract":
            return part() - Rational(draw.randint(1, 3), draw.randint(1, 3)) * part()
        case "times":
            return part() * part()
        case "over":
            return part() / (1 + _leaf(draw, scope))
        case "power":
            return _leaf(draw, scope) ** draw.choice((2, 2, 3, Rational(3, 2)))
        case "call":
            return draw.choice(_FUNCTIONS)(_leaf(draw, scope) + draw.randint(0, 1))
        case "where":
            return Piecewise((part(), _leaf(draw, scope) > _leaf(draw, scope)), (part(), True))
        case _:
            return sympy.sqrt(_leaf(draw, scope) + 1)


def _leaf(draw: random.Random, scope: dict[Symbol, Expr]) -> Expr:
    """Return a read whose indices are in scope, or a number or size."""
    reads: list[Expr] = []
    for tensor in TENSORS:
        fits = [
            [Integer(0)] if axis == 1 else [k for k, extent in scope.items() if extent == axis]
            for axis in tensor.shape
        ]
        if all(fits):
            reads.append(tensor[tuple(draw.choice(some) for some in fits)])
    if not reads or draw.random() < 0.1:
        return draw.choice((Integer(2), Rational(1, 2), BATCH, _N))
    return draw.choice(reads)
