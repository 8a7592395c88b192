"""Exact arithmetic modulo a prime, at a random point, with functions as random elements.

The prime is ``2**64 - 2**32 + 1``; it leaves 1 when divided by 8, so that -1 and 2 have square
roots. A number of the field stands for each input and each function value:

- ``exp(u)`` is a random unit, one for each u; ``exp(r u)``, with r rational, is its power, and
  the exponential of a sum is the product. So ``exp(a + b) = exp(a) exp(b)`` holds.
- ``tanh``, ``sinh`` and ``cosh`` are rational in ``exp``; ``sin``, ``cos`` and ``tan`` are
  rational in another such unit w = exp(iu), with i a square root of -1. So their algebraic
  relations hold, and ``sin**2 + cos**2 = 1``.
- A square root is one modulo the prime; where there is none, the point is drawn again.
- ``log``, ``erf``, ``atan`` and any other function is a random element for each argument:
  relations between its values, such as ``log(ab) = log(a) + log(b)``, do not hold.
- A comparison with 0 is a random element s, that with the signs turned is ``1 - s``: away from
  ties, and with nothing used of ``s**2 = s``. `bits` makes s one of 0 and 1.

An identity that holds with these elements free holds for the functions, which satisfy all
that was used. The opposite need not be so: a relation that is not known here is missed.

References
----------
J. T. Schwartz, "Fast probabilistic algorithms for verification of polynomial identities",
Journal of the ACM 27(4), 1980; G. H. Gonnet, "Determining equivalence of expressions in random
polynomial time", STOC 1984 (functions).
"""

import random
from collections.abc import Callable
from typing import Any, final

import sympy
from sympy import Expr, Rational

from derive.proof.reach import OutOfReachError
from derive.proof.tangent import Dual, Terms

PRIME = 2**64 - 2**32 + 1
POWER = 24  # a unit is the power of a random element, so that fractions of exponents exist
LARGEST_EXPONENT = 4  # multiples and fractions of an argument up to it share their unit

_NEAR = {Rational(a, b) for a in range(1, 5) for b in range(1, 5)}
_HYPERBOLIC = (sympy.tanh, sympy.sinh, sympy.cosh)
_CIRCULAR = (sympy.sin, sympy.cos, sympy.tan)
_ODD = (sympy.erf, sympy.atan, sympy.asinh)


class NoSuchPointError(Exception):
    """The random point lies on a pole, or has no root: draw another one."""


@final
class Prime:
    """The field, and the random elements that were drawn in it.

    Parameters
    ----------
    seed
        Draws them.
    bits
        Whether comparisons are 0 or 1, and not any element.
    """

    ordered = False

    def __init__(self, seed: int, *, bits: bool = False) -> None:
        self.random = random.Random(seed)  # a point, not a secret
        self.bits = bits
        self.drawn: dict[tuple[object, ...], int] = {}
        self.units: dict[tuple[str, int], tuple[int, Rational]] = {}
        self.truths: dict[int, int] = {0: 0}
        half_of_pi = self.element()
        self.roots = {half_of_pi**2 % PRIME: half_of_pi}
        self.pi = half_of_pi**2 % PRIME

    def element(self) -> int:
        """Draw an element that is not 0."""
        return self.random.randrange(1, PRIME)

    def constant(self, number: Expr) -> int:
        """Return a rational number, or what stands for pi or e."""
        if number.is_Rational:
            return int(number.p) * self.inverse(int(number.q)) % PRIME
        if number is sympy.pi:
            return self.pi
        if number is sympy.E:
            return self.function(sympy.exp, [(Rational(1), 1)])
        raise OutOfReachError(f"{number} is not an exact number")

    def reduced(self, value: Any) -> Any:
        """Return a value, or an array of them, between 0 and the prime."""
        return value % PRIME

    def inverse(self, value: int) -> int:
        """Return one over a value."""
        if value % PRIME == 0:
            raise NoSuchPointError
        return pow(value, -1, PRIME)

    def root(self, value: int, degree: int) -> int:
        """Return a square root, the same one for the same value; or a root of that."""
        if degree % 2:
            raise OutOfReachError(f"roots of degree {degree} are not known modulo the prime")
        if value not in self.roots:
            self.roots[value] = _square_root(value)
        root = self.roots[value]
        return root if degree == 2 else self.root(root, degree // 2)

    def function(self, function: type[Expr], terms: Terms) -> int:
        """Return what stands for a function of a sum."""
        if function is sympy.exp:
            return self._unit("exp", terms)
        if function in _HYPERBOLIC:
            e = self._unit("exp", terms)
            return self._quotient(function, e, 1)
        if function in _CIRCULAR:
            i = self.root(PRIME - 1, 2)
            return self._quotient(function, self._unit("circle", terms), i)
        argument = sum(self.constant(number) * value for number, value in terms) % PRIME
        if function in _ODD and argument > PRIME // 2:
            return -self._any(function.__name__, PRIME - argument) % PRIME
        return self._any(function.__name__, argument)

    def _quotient(self, function: type[Expr], e: int, i: int) -> int:
        """Return a quotient of the odd and the even part of e, or one of the parts."""
        back = self.inverse(e)
        odd = (e - back) * self.inverse(2 * i) % PRIME
        even = (e + back) * self.inverse(2) % PRIME
        if function in (sympy.tanh, sympy.tan):
            return odd * self.inverse(even) % PRIME
        return odd if function in (sympy.sinh, sympy.sin) else even

    def _any(self, name: str, argument: int) -> int:
        key = (name, argument)
        if key not in self.drawn:
            self.drawn[key] = self.element()
        return self.drawn[key]

    def _unit(self, kind: str, terms: Terms) -> int:
        """Return the unit of a sum: the product of those of its terms, to their powers."""
        product = 1
        for number, value in terms:
            if value == 0:
                continue
            if (kind, value) not in self.units:
                base = self.element()
                for ratio in _NEAR:
                    multiple = self.constant(ratio) * value % PRIME
                    self.units[kind, multiple] = (base, ratio)
                    self.units[kind, PRIME - multiple] = (base, -ratio)
            base, ratio = self.units[kind, value]
            exponent = POWER * number * ratio
            if not exponent.is_Integer:
                raise OutOfReachError(f"the exponent {number} is not known modulo the prime")
            product = product * pow(base, int(exponent), PRIME) % PRIME
        return product

    def above(self, value: int) -> int:
        """Return what stands for 1 where a value is above 0, and for 0 elsewhere."""
        if value not in self.truths:
            truth = self.random.randrange(2) if self.bits else self.element()
            for ratio in _NEAR:
                multiple = self.constant(ratio) * value % PRIME
                self.truths[multiple] = truth
                self.truths[PRIME - multiple] = (1 - truth) % PRIME
        return self.truths[value]

    def select(self, truth: int, then: Callable[[], Dual], otherwise: Callable[[], Dual]) -> Dual:
        """Return ``s a + (1 - s) b``."""
        (a, da), (b, db) = then(), otherwise()
        other = (1 - truth) % PRIME
        slopes = None
        if da is not None or db is not None:
            slopes = (truth * (0 if da is None else da) + other * (0 if db is None else db)) % PRIME
        return (truth * a + other * b) % PRIME, slopes


def _square_root(value: int) -> int:
    """Return a square root modulo the prime, by the method of Tonelli and Shanks."""
    if value == 0:
        return 0
    if pow(value, (PRIME - 1) // 2, PRIME) != 1:
        raise NoSuchPointError
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    c = pow(7, odd, PRIME)  # 7 generates all units
    root, rest = pow(value, (odd + 1) // 2, PRIME), pow(value, odd, PRIME)
    while rest != 1:
        order, square = 0, rest
        while square != 1:
            order, square = order + 1, square * square % PRIME
        step = pow(c, 2 ** (twos - order - 1), PRIME)
        twos, c = order, step * step % PRIME
        root, rest = root * step % PRIME, rest * c % PRIME
    return root
