"""What each activation and loss *is*: its forward definition, and nothing else.

No derivative is registered here or anywhere: every one comes from ``sympy.diff`` in
`derive.gradient`. A definition sees one row of a batch: ``z(k)`` is an entry, and
``z.total(f)`` is the sum of ``f(k)`` over the row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import sympy
from sympy import Expr, Piecewise, Symbol

from derive.indices import fresh
from derive.program import Sum


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a tensor as a definition reads it.

    Attributes
    ----------
    entry
        Returns the row's entry at an index.
    extent
        Number of entries.
    """

    entry: Callable[[Expr], Expr]
    extent: Expr

    def __call__(self, k: Expr) -> Expr:
        """Return the entry at `k`."""
        return self.entry(k)

    def total(self, term: Callable[[Symbol], Expr]) -> Expr:
        """Return the sum of `term` over the row."""
        k = fresh()
        return Sum(term(k), (k, 0, self.extent - 1))


Activation = Callable[[Row, Expr], Expr]
Loss = Callable[[Row, Row], Expr]

ACTIVATIONS: dict[str, Activation] = {}
LOSSES: dict[str, Loss] = {}


def elementwise(function: Callable[[Expr], Expr]) -> Activation:
    """Return the activation that applies a scalar function to each entry."""

    def apply(z: Row, k: Expr) -> Expr:
        return function(z(k))

    apply.__doc__ = function.__doc__
    return apply


def activation(name: str) -> Callable[[Activation], Activation]:
    """Register an activation under `name`, by its forward definition alone."""

    def register(function: Activation) -> Activation:
        ACTIVATIONS[name] = function
        return function

    return register


def loss(name: str) -> Callable[[Loss], Loss]:
    """Register the loss of one sample under `name`, by its forward definition alone."""

    def register(function: Loss) -> Loss:
        LOSSES[name] = function
        return function

    return register


@activation("identity")
@elementwise
def identity(z: Expr) -> Expr:
    """``z``."""
    return z


@activation("tanh")
@elementwise
def tanh(z: Expr) -> Expr:
    """``tanh(z)``."""
    return sympy.tanh(z)


@activation("sigmoid")
@elementwise
def sigmoid(z: Expr) -> Expr:
    """``1 / (1 + exp(-z))``."""
    return 1 / (1 + sympy.exp(-z))


@activation("relu")
@elementwise
def relu(z: Expr) -> Expr:
    """``where(z > 0, z, 0)``: the slope at 0 is that of the branch taken there, 0."""
    return Piecewise((z, z > 0), (0, True))


@activation("softmax")
def softmax(z: Row, k: Expr) -> Expr:
    """``exp(z[k]) / sum_q exp(z[q])``."""
    return sympy.exp(z(k)) / z.total(lambda q: sympy.exp(z(q)))


@loss("cross-entropy")
def cross_entropy(target: Row, output: Row) -> Expr:
    """``-sum_k Y[k] log P[k]``."""
    return -output.total(lambda k: target(k) * sympy.log(output(k)))


@loss("mse")
def mean_squared_error(target: Row, output: Row) -> Expr:
    """``(1/n) sum_k (P[k] - Y[k])**2``, the mean over the outputs."""
    return output.total(lambda k: (output(k) - target(k)) ** 2) / output.extent
