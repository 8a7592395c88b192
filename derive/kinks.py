"""Functions with a kink, as they are written: SymPy's, without what it makes of them at once.

SymPy makes ``max(z, 0)`` of ``abs(max(z, 0))`` and ``z**2`` of ``abs(z)**2`` when they are
built. Values stay, but the slope at the corner is a convention for each function that was
written: 0 for abs, one half each for max and min at a tie. It would be that of the other
function. These keep what was written until `derive.gradient` differentiates; how, SymPy says.
"""

import sympy
from sympy import Expr
from sympy.core.sorting import ordered
from sympy.core.sympify import sympify


class Abs(sympy.Abs):  # type: ignore[misc]  # SymPy is untyped
    """``|u|``, whatever ``u`` is; numbers and signs in front of ``u`` are taken out of it."""

    @classmethod
    def eval(cls, argument: Expr) -> Expr | None:
        """Return the value of a number, or what is left of a factor that is one."""
        if not argument.free_symbols:
            return sympy.Abs(argument)
        number, rest = argument.as_coeff_Mul()
        if number != 1:
            return sympy.Abs(number) * cls(rest)
        return cls(-argument) if argument.could_extract_minus_sign() else None

    def _eval_power(self, exponent: Expr) -> None:
        """Keep ``|u|**2``, whose slope has the kink's twice."""


def _unknown(_: Expr) -> None:
    return None


class _Extreme:
    """What is common to the larger and the smaller of two values."""

    def __new__(cls, one: Expr, other: Expr) -> Expr:
        """Return the extreme of two; of two numbers or equal ones, the value."""
        one, other = sympify(one, strict=True), sympify(other, strict=True)
        if one == other:
            return one
        if not (one.free_symbols or other.free_symbols):
            plain: Expr = PLAIN[cls](one, other)
            return plain
        made: Expr = Expr.__new__(cls, *ordered((one, other)))
        made._argset = frozenset((one, other))
        return made

    # SymPy would conclude that min(z**2, 0) is 0, and refuse to differentiate its powers;
    # its slope at a tie is not that of 0
    _eval_is_nonnegative = _eval_is_nonpositive = _eval_is_zero = _unknown

    def _eval_is_positive(self) -> bool | None:
        return True if super()._eval_is_positive() else None  # type: ignore[misc]

    def _eval_is_negative(self) -> bool | None:
        return True if super()._eval_is_negative() else None  # type: ignore[misc]


class Max(_Extreme, sympy.Max):  # type: ignore[misc]
    """The larger of two values, one of which may be a maximum itself: each tie is its own."""


class Min(_Extreme, sympy.Min):  # type: ignore[misc]
    """The smaller of two values."""


PLAIN: dict[type[Expr], type[Expr]] = {Abs: sympy.Abs, Max: sympy.Max, Min: sympy.Min}
"""SymPy's function for each of these."""

_KEPT = {plain: kept for kept, plain in PLAIN.items()}


def kept(expression: Expr) -> Expr:
    """Return `expression` with these in the place of SymPy's own.

    SymPy makes an ``Abs`` of ``sqrt(u**2)``, for one.
    """
    if not expression.args or not expression.has(*_KEPT):
        return expression
    args = [kept(argument) for argument in expression.args]
    function = _KEPT.get(expression.func, expression.func)
    if len(args) > 2 and issubclass(function, _Extreme):
        first, *others = args
        for other in others:
            first = function(first, other)
        return first
    same = all(new is old for new, old in zip(args, expression.args, strict=True))
    return expression if same and function is expression.func else function(*args)
