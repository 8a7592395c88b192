"""What each activation and loss *is*: its forward definition, and nothing else.

No derivative is registered here or anywhere: every one comes from ``sympy.diff`` in
`derive.gradient`. A definition sees one row of a batch: ``z(k)`` is an entry, and
``z.total(f)`` is the sum of ``f(k)`` over the row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import sympy
from sympy import Expr, Piecewise, Rational, Symbol

from derive.errors import InputError
from derive.formula_sympy import to_sympy
from derive.formula_tree import Definition, Formula
from derive.indices import fresh
from derive.kinks import Abs, Max
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
        summand = sympy.sympify(term(k), strict=True)
        if not summand.has(k):  # SymPy's max and min refuse a sum that is a number
            return self.extent * summand
        return Sum(summand, (k, 0, self.extent - 1))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the loss of one sample may read.

    Attributes
    ----------
    P
        The output.
    Y
        The target.
    Z
        The last layer before its activation.
    """

    P: Row
    Y: Row
    Z: Row


Activation = Callable[[Row, Expr], Expr]
Loss = Callable[[Sample], Expr]

ACTIVATIONS: dict[str, Activation] = {}
SCALAR: dict[str, Callable[[Expr], Expr]] = {}
"""The activations of one entry: what a formula may call."""
LOSSES: dict[str, Loss] = {}


def scalar_activation(name: str) -> Callable[[Callable[[Expr], Expr]], Callable[[Expr], Expr]]:
    """Register a function of one entry as an activation, by its forward definition alone."""

    def register(function: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
        SCALAR[name] = function
        ACTIVATIONS[name] = elementwise(function)
        return function

    return register


def elementwise(function: Callable[[Expr], Expr]) -> Activation:
    """Return the activation that applies a scalar function to each entry."""

    def apply(z: Row, k: Expr) -> Expr:
        return function(z(k))

    apply.__doc__ = function.__doc__
    return apply


def activation(name: str) -> Callable[[Activation], Activation]:
    """Register an activation of a whole row, by its forward definition alone."""

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


@scalar_activation("identity")
def identity(z: Expr) -> Expr:
    """``z``."""
    return z


@scalar_activation("tanh")
def tanh(z: Expr) -> Expr:
    """``tanh(z)``."""
    return sympy.tanh(z)


@scalar_activation("sigmoid")
def sigmoid(z: Expr) -> Expr:
    """``1 / (1 + exp(-z))``."""
    return 1 / (1 + sympy.exp(-z))


@scalar_activation("relu")
def relu(z: Expr) -> Expr:
    """``where(z > 0, z, 0)``: the slope at 0 is that of the branch taken there, 0."""
    return Piecewise((z, z > 0), (0, True))


@scalar_activation("softplus")
def softplus(z: Expr) -> Expr:
    """``log(1 + exp(z))``."""
    return sympy.log(1 + sympy.exp(z))


@scalar_activation("elu")
def elu(z: Expr) -> Expr:
    """``where(z > 0, z, exp(z) - 1)`` (D.-A. Clevert et al., 2016, equation 15, alpha 1)."""
    return Piecewise((z, z > 0), (sympy.exp(z) - 1, True))


@scalar_activation("gelu")
def gelu(z: Expr) -> Expr:
    """``z (1 + erf(z/√2))/2`` (D. Hendrycks and K. Gimpel, 2016, section 2; exact form)."""
    return z * (1 + sympy.erf(z / sympy.sqrt(2))) / 2


@scalar_activation("silu")
def silu(z: Expr) -> Expr:
    """``z / (1 + exp(-z))`` (S. Elfwing, E. Uchibe and K. Doya, 2018, equation 4)."""
    return z / (1 + sympy.exp(-z))


@scalar_activation("sin")
def sin(z: Expr) -> Expr:
    """``sin(z)``."""
    return sympy.sin(z)


@activation("softmax")
def softmax(z: Row, k: Expr) -> Expr:
    """``exp(z[k]) / sum_q exp(z[q])``."""
    return sympy.exp(z(k)) / z.total(lambda q: sympy.exp(z(q)))


@activation("log_softmax")
def log_softmax(z: Row, k: Expr) -> Expr:
    """``z[k] - log(sum_q exp(z[q]))``."""
    return z(k) - sympy.log(z.total(lambda q: sympy.exp(z(q))))


@loss("cross-entropy")
def cross_entropy(sample: Sample) -> Expr:
    """``-sum_k Y[k] log P[k]``."""
    return -sample.P.total(lambda k: sample.Y(k) * sympy.log(sample.P(k)))


@loss("binary-cross-entropy")
def binary_cross_entropy(sample: Sample) -> Expr:
    """``-sum_k (Y[k] log P[k] + (1 - Y[k]) log(1 - P[k]))``."""
    P, Y = sample.P, sample.Y
    return -P.total(lambda k: Y(k) * sympy.log(P(k)) + (1 - Y(k)) * sympy.log(1 - P(k)))


@loss("mse")
def mean_squared_error(sample: Sample) -> Expr:
    """``(1/n) sum_k (P[k] - Y[k])**2``, the mean over the outputs."""
    P, Y = sample.P, sample.Y
    return P.total(lambda k: (P(k) - Y(k)) ** 2) / P.extent


@loss("mae")
def mean_absolute_error(sample: Sample) -> Expr:
    """``(1/n) sum_k |P[k] - Y[k]|``, the mean over the outputs."""
    P, Y = sample.P, sample.Y
    return P.total(lambda k: Abs(P(k) - Y(k))) / P.extent


@loss("huber")
def huber(sample: Sample) -> Expr:
    """``(1/n) sum_k h(P[k] - Y[k])``, ``h(d) = where(|d| <= 1, d**2/2, |d| - 1/2)``.

    P. J. Huber, "Robust estimation of a location parameter", 1964; δ = 1.
    """
    P, Y = sample.P, sample.Y

    def term(k: Expr) -> Expr:
        d = P(k) - Y(k)
        return Piecewise((d**2 / 2, Abs(d) <= 1), (Abs(d) - Rational(1, 2), True))

    return P.total(term) / P.extent


@loss("hinge")
def hinge(sample: Sample) -> Expr:
    """``sum_k max(0, 1 - (2 Y[k] - 1) Z[k])``."""
    Y, Z = sample.Y, sample.Z
    return Z.total(lambda k: Max(0, 1 - (2 * Y(k) - 1) * Z(k)))


def log_likelihood(sample: Sample) -> Expr:
    """``-sum_k Y[k] P[k]``: cross-entropy where P already is a logarithm."""
    return -sample.P.total(lambda k: sample.Y(k) * sample.P(k))


def own_activation(definition: Definition) -> Activation:
    """Return the activation that a definition of the user's own stands for."""

    def function(z: Expr) -> Expr:
        value = to_sympy(definition.formula, {definition.parameter: z}, activations=SCALAR)
        return _real(value, definition.formula)

    return elementwise(function)


def own_loss(formula: Formula) -> Loss:
    """Return the loss that a formula of the user's own stands for."""

    def apply(sample: Sample) -> Expr:
        rows = {"P": sample.P, "Y": sample.Y, "Z": sample.Z}

        def total(term: Callable[[Mapping[str, Expr]], Expr]) -> Expr:
            return sample.P.total(lambda k: term({name: row(k) for name, row in rows.items()}))

        return _real(to_sympy(formula, {}, activations=SCALAR, total=total), formula)

    return apply


def _real(value: Expr, formula: Formula) -> Expr:
    """Return `value` unless a part of it is real for no argument, as ``log(-1 - z**2)``."""
    for part in sympy.preorder_traversal(value):
        if isinstance(part, Expr) and part.is_extended_real is False:
            raise InputError(f'"{formula}" is not real, whatever the values are: {part} never is.')
    return value
