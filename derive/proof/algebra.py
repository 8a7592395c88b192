"""An exact test for zero of expressions without indices, by algebra alone.

Function applications become symbols: ``tanh(Z)`` is one symbol wherever it stands, and
``exp(-2 Z)`` is the inverse square of that of ``exp(Z)``. A comparison becomes a symbol s
with ``s**2 = s``, a square root one with ``s**2 = u``. What is left is a rational function,
and each distinct denominator D becomes a symbol r with ``r D = 1``, so that there are
polynomials and relations between them. The sign of a difference d is two symbols, one for
``d > 0`` and one for ``d < 0``, of which at most one is 1, so that comparisons, ``Abs``,
``sign``, ``Max``, ``Min`` and the steps that are their derivatives share them. Then:

1. at a random point modulo a prime, a value other than 0 settles that it is not zero;
2. otherwise the polynomial is expanded; then reduced by the relations; and if it is still
   not 0, it is multiplied by all denominators, after which nothing is left to chance.

What is called zero is zero wherever it is defined. Relations between functions that are
not known here, such as that of sin and cos, can only be missed. `simplify` would know some,
and takes 70 times as long.
"""

import contextlib
import heapq
import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import sympy
from sympy import (
    QQ,
    Abs,
    DiracDelta,
    Dummy,
    Expr,
    Heaviside,
    Integer,
    Max,
    Min,
    Mul,
    Piecewise,
    Rational,
    sign,
)
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import Application
from sympy.core.relational import Relational
from sympy.logic.boolalg import ITE, And, Not, Or
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, PolyRing

from derive.proof.reach import OutOfReachError

_KINKS = (Piecewise, Abs, sign, Max, Min, Heaviside, DiracDelta)
_MOST_TERMS = 1_000  # of an argument or denominator
_MOST_TERMS_IN_ALL = 8_000  # before like ones are put together: half a second
_MOST_PRODUCTS = 60_000  # of terms, for one question: less than a second
_MOST_CASES = 4  # within another case
_PRIME = 2**61 - 1
_SEED = 20080101  # any: it decides how fast a non-zero is seen, not the outcome


# the few powers of a leading term, by their places, and the terms that it is equal to
_Rule = tuple[list[tuple[int, int]], list[tuple[Any, Any]]]


class _PoleError(Exception):
    """A denominator is 0 at the random point."""


class Algebra:
    """Turns expressions into polynomials, the same call into the same symbol, and compares."""

    def __init__(self, *, effort: int = 1) -> None:
        self._effort = effort  # how many times as much as usual is done before giving up
        self._symbols: dict[tuple[object, ...], Dummy] = {}
        self._bits: dict[Expr, tuple[Expr, bool]] = {}  # of which difference, and whether above 0
        self._continuous: set[Expr] = set()  # differences that stand beside their own sign
        self._roots: dict[Expr, tuple[Expr, int]] = {}
        self._logarithms: dict[Expr, Expr] = {}
        self._spent = 0
        self._denominators: dict[Expr, Expr] = {}
        self._done: dict[Expr, Expr] = {}
        self._random = random.Random(_SEED)  # a point, not a secret
        self._point: dict[tuple[Expr, int], int] = {}

    def is_zero(self, expression: Expr) -> bool:
        """Whether `expression` is 0 wherever it is defined; False also means: not seen."""
        self._spent = 0
        polynomial = self.polynomial(expression)
        # a root modulo the prime may not exist, and then the point is of no use
        if not polynomial.free_symbols & self._roots.keys():
            with contextlib.suppress(_PoleError):
                if self._modular(polynomial, {}):
                    return False
        if (terms := _terms(polynomial, {})) > (most := _MOST_TERMS_IN_ALL * self._effort):
            raise OutOfReachError(f"{terms} terms, multiplied out; at most {most}")
        relations = self._relations(polynomial)
        generators = self._generators([polynomial, *relations])
        if not generators:
            return bool(polynomial == 0)
        ring = PolyRing(generators, QQ, lex)
        element = ring.from_expr(polynomial)
        if not element:
            return True
        remainder = _reduced(
            element, [ring.from_expr(relation) for relation in relations], self._spend
        )
        return not remainder or not self._cleared(remainder, ring)

    def without_cases(self, expression: Expr) -> Expr:
        """Return `expression` with ``s a + (1 - s) b`` for a where b otherwise.

        It is for expressions that others are to be put into: SymPy rewrites conditions when
        something is put into them, and then they are no longer recognised.
        """
        if not expression.has(*_KINKS):
            return expression
        if isinstance(expression, Piecewise):
            *branches, (result, _) = expression.args
            result = self.without_cases(result)
            for value, condition in reversed(branches):
                bit = self._truth(condition)
                result = bit * self.without_cases(value) + (1 - bit) * result
            return result
        parts = [self.without_cases(part) for part in expression.args]
        if isinstance(expression, Max | Min):
            if len(parts) > 2:  # which of their differences are above 0 depends on each other
                raise OutOfReachError(f"the order of three values is not known: {expression}")
            return self._extreme(*parts, largest=isinstance(expression, Max))
        if isinstance(expression, Abs | sign):
            above, below = self._signs(parts[0], beside_it=isinstance(expression, Abs))
            return (above - below) * (parts[0] if isinstance(expression, Abs) else 1)
        if isinstance(expression, Heaviside):
            above, below = self._signs(parts[0])
            return above + (1 - above - below) * parts[1]
        if isinstance(expression, DiracDelta):
            return Integer(0)  # the slope of a step, which is 0 by definition here
        return expression.func(*parts)

    def _extreme(self, one: Expr, other: Expr, *, largest: bool) -> Expr:
        """Return the larger or smaller of two values, even-handed at a tie."""
        above, below = self._signs(one - other, beside_it=True)
        distance = (above - below) * (one - other)
        return (one + other + (distance if largest else -distance)) / 2

    def polynomial(self, expression: Expr) -> Expr:
        """Return `expression` with function applications and denominators as symbols."""
        if expression.is_Float:
            raise OutOfReachError(f"the proof is about exact numbers, and {expression} is not one")
        if not expression.args:
            return expression
        if expression not in self._done:
            self._done[expression] = self._polynomial(expression)
        return self._done[expression]

    def _polynomial(self, expression: Expr) -> Expr:
        if isinstance(expression, _KINKS):
            return self.polynomial(self.without_cases(expression))
        parts = [self.polynomial(argument) for argument in expression.args]
        if isinstance(expression, sympy.exp):
            return self._exponential(_expanded(parts[0]))
        if isinstance(expression, expm1):
            return self._exponential(_expanded(parts[0])) - 1
        if isinstance(expression, log1p):
            return self._logarithm(_expanded(1 + parts[0]))
        if isinstance(expression, sympy.log):
            return self._logarithm(_expanded(parts[0]))
        if expression.is_Add or expression.is_Mul:
            return expression.func(*parts)
        if expression.is_Pow and expression.exp.is_Rational:
            base, exponent = parts[0], expression.exp
            if exponent.q != 1:
                base = self._root(_expanded(base), int(exponent.q))
            return self._inverse(base) ** -exponent.p if exponent.p < 0 else base**exponent.p
        if isinstance(expression, Application):
            return self._symbol(expression.func, *map(_expanded, parts))
        raise OutOfReachError(f"the proof does not know {expression.func}: {expression}")

    def _exponential(self, exponent: Expr) -> Expr:
        """Return ``exp(c*m)`` as the power c of the symbol for ``exp(m)``."""
        factor: Expr = Integer(1)
        for term in sympy.Add.make_args(exponent):
            number, symbol = term.as_coeff_Mul(rational=True)
            if number.is_Integer and symbol in self._logarithms:
                exponent -= term
                factor *= self._power(self._logarithms[symbol], int(number))
        if exponent == 0:
            return factor
        content, primitive = exponent.as_content_primitive()
        if primitive.could_extract_minus_sign():
            content, primitive = -content, _expanded(-primitive)
        if not content.is_Rational:
            raise OutOfReachError(f"the proof does not know the exponent {exponent}")
        symbol = self._symbol(sympy.exp, primitive / content.q, positive=True)
        return factor * self._power(symbol, int(content.p))

    def _power(self, base: Expr, exponent: int) -> Expr:
        return self._inverse(base) ** -exponent if exponent < 0 else base**exponent

    def _logarithm(self, argument: Expr) -> Dummy:
        """Return the symbol of a logarithm; its exponential is the argument."""
        symbol = self._symbol(sympy.log, argument)
        self._logarithms[symbol] = argument
        return symbol

    def _truth(self, condition: Expr) -> Expr:
        """Return 1 where a condition holds and 0 elsewhere, whichever way round it is written."""
        if condition == True or condition == False:  # noqa: E712  # SymPy's, not Python's
            return Integer(1 if condition == True else 0)  # noqa: E712
        if isinstance(condition, Not):
            return 1 - self._truth(condition.args[0])
        if isinstance(condition, And):
            return Mul(*map(self._truth, condition.args))
        if isinstance(condition, Or):
            return 1 - Mul(*(1 - self._truth(part) for part in condition.args))
        if isinstance(condition, ITE):
            first, then, otherwise = map(self._truth, condition.args)
            return first * then + (1 - first) * otherwise
        if not isinstance(condition, Relational):
            raise OutOfReachError(f"the proof does not know the condition {condition}")
        above, below = self._signs(condition.lhs - condition.rhs)
        return {
            ">": above,
            "<": below,
            ">=": 1 - below,
            "<=": 1 - above,
            "==": 1 - above - below,
            "!=": above + below,
        }[condition.rel_op]

    def _signs(self, difference: Expr, *, beside_it: bool = False) -> tuple[Expr, Expr]:
        """Return the symbols for a difference above and below 0, at most one of which is 1."""
        difference = _expanded(self.polynomial(difference))
        if difference.is_number:
            return Integer(int(bool(difference > 0))), Integer(int(bool(difference < 0)))
        within = sorted(difference.free_symbols & self._bits.keys(), key=sympy.default_sort_key)
        if len(within) > _MOST_CASES:
            raise OutOfReachError("the sign of a difference has too many cases")
        if within:  # where a case holds, the difference is what it is there
            bit = within[0]
            other = self._symbol(not self._bits[bit][1], self._bits[bit][0])
            yes = self._signs(difference.xreplace({bit: Integer(1), other: Integer(0)}))
            no = self._signs(difference.xreplace({bit: Integer(0)}))
            above, below = (bit * a + (1 - bit) * b for a, b in zip(yes, no, strict=True))
            return above, below
        _, difference = difference.as_content_primitive()
        turned = bool(difference.could_extract_minus_sign())
        difference = _expanded(-difference) if turned else difference
        if beside_it:
            self._continuous.add(difference)
        bits = tuple(self._symbol(above, difference) for above in (True, False))
        for bit, above in zip(bits, (True, False), strict=True):
            self._bits[bit] = (difference, above)
        return (bits[1], bits[0]) if turned else (bits[0], bits[1])

    def _root(self, base: Expr, degree: int) -> Expr:
        symbol = self._symbol("root", degree, base)
        self._roots[symbol] = (base, degree)
        return symbol

    def _inverse(self, expression: Expr) -> Expr:
        """Return one over a polynomial, as a polynomial in symbols for inverses."""
        if expression.is_Rational:
            if expression == 0:
                raise OutOfReachError("a denominator is 0")
            return Rational(1) / expression
        if expression in self._denominators:
            return self._denominators[expression]
        if expression.is_Mul:
            return Mul(*(self._inverse(factor) for factor in expression.args))
        if expression.is_Pow:
            return self._inverse(expression.base) ** expression.exp
        denominator = _expanded(expression)
        symbol = self._symbol("inverse", denominator)
        self._denominators[symbol] = denominator
        return symbol

    def _symbol(self, *key: object, positive: bool | None = None) -> Dummy:
        if key not in self._symbols:
            name = f"f{len(self._symbols)}"
            self._symbols[key] = Dummy(name, real=True, positive=positive)
        return self._symbols[key]

    def _modular(self, expression: Expr, done: dict[Expr, int]) -> int:
        """Return the value at the random point, modulo the prime."""
        if expression not in done:
            done[expression] = self._modular_value(expression, done) % _PRIME
        return done[expression]

    def _modular_value(self, expression: Expr, done: dict[Expr, int]) -> int:
        if expression.is_Rational:
            return int(expression.p) * pow(int(expression.q), -1, _PRIME)
        if not expression.args:
            return self._coordinate(expression, done)
        values = [self._modular(part, done) for part in expression.args if not part.is_Integer]
        numbers = [int(part) for part in expression.args if part.is_Integer]
        if expression.is_Add:
            return sum(values) + sum(numbers)
        if expression.is_Pow:
            return pow(values[0], numbers[0], _PRIME)
        product = 1
        for factor in (*values, *numbers):
            product = product * factor % _PRIME
        return product

    def _coordinate(self, symbol: Expr, done: dict[Expr, int]) -> int:
        if symbol in self._denominators:
            divisor = self._modular(self._denominators[symbol], done)
            if not divisor:  # 1/P where the case that was drawn makes P 0
                raise _PoleError
            return pow(divisor, -1, _PRIME)
        if symbol in self._bits:
            difference, above = self._bits[symbol]
            return int(self._drawn(difference, 2) == above)
        return self._drawn(symbol, _PRIME)

    def _drawn(self, key: Expr, upper: int) -> int:
        if (key, upper) not in self._point:
            self._point[key, upper] = self._random.randrange(upper)
        return self._point[key, upper]

    def _relations(self, polynomial: Expr) -> list[Expr]:
        """Return what is 0 by definition of the symbols in a polynomial, and in these."""
        found: dict[Expr, None] = {}
        waiting = list(polynomial.free_symbols)
        seen = set(waiting)
        while waiting:
            symbol = waiting.pop()
            within: set[Expr] = set()
            if symbol in self._bits:
                found[symbol**2 - symbol] = None
                difference, above = self._bits[symbol]
                other = self._symbol(not above, difference)
                if other in seen:
                    found[symbol * other] = None
                if difference in self._continuous:
                    found[_expanded(difference * (1 - symbol - other))] = None
                    within = {other, *difference.free_symbols}
            elif symbol in self._denominators:
                denominator = self._denominators[symbol]
                found[_expanded(symbol * denominator) - 1] = None
                within = denominator.free_symbols
            elif symbol in self._roots:
                base, degree = self._roots[symbol]
                found[symbol**degree - base] = None
                within = base.free_symbols
            waiting += sorted(within - seen, key=sympy.default_sort_key)
            seen |= within
        return sorted(found, key=sympy.default_sort_key)

    def _generators(self, expressions: Iterable[Expr]) -> list[Expr]:
        atoms = {
            atom for e in expressions for atom in (*e.free_symbols, *e.atoms(sympy.NumberSymbol))
        }
        return sorted(atoms, key=sympy.default_sort_key)

    def _spend(self, products: int) -> None:
        """Give up beyond so many products of terms for one question."""
        self._spent += products
        if self._spent > (most := _MOST_PRODUCTS * self._effort):
            raise OutOfReachError(f"more than {most} products of terms")

    def _cleared(self, element: PolyElement, ring: PolyRing) -> PolyElement:
        """Return a polynomial times its denominators, with ``s**2 = s`` for comparisons."""
        for symbol in reversed(self._denominators):  # those within others were made before them
            if symbol not in ring.symbols:
                continue
            position = ring.symbols.index(symbol)
            denominator = ring.from_expr(self._denominators[symbol])
            highest = max((powers[position] for powers in element), default=0)
            parts = [ring.zero for _ in range(highest + 1)]
            for powers, coefficient in element.terms():
                rest = (*powers[:position], 0, *powers[position + 1 :])
                parts[powers[position]][rest] = coefficient
            element = ring.zero
            for part in parts:  # Horner's rule in the denominator
                self._spend(len(element) * len(denominator))
                element = element * denominator + part
        beside = [bit**2 - bit for bit in ring.symbols if bit in self._bits]
        for bit in ring.symbols:
            if bit in self._bits:
                difference, above = self._bits[bit]
                other = self._symbol(not above, difference)
                beside += [bit * other] if above and other in ring.symbols else []
            if bit in self._roots:
                base, degree = self._roots[bit]
                beside.append(bit**degree - base)
        return _reduced(element, [ring.from_expr(r) for r in beside], self._spend)


def _reduced(
    element: PolyElement, relations: list[PolyElement], spend: Callable[[int], None]
) -> PolyElement:
    """Return the remainder of a polynomial by relations in lexicographic order.

    As ``PolyElement.rem``, which looks for the leading term anew in every step.
    """
    ring = element.ring
    rules = [_rule(relation) for relation in relations]
    terms = dict(element.terms())
    heap = [tuple(-power for power in powers) for powers in terms]
    heapq.heapify(heap)
    remainder = ring.zero
    while heap:
        powers = tuple(-power for power in heapq.heappop(heap))
        coefficient = terms.pop(powers, 0)
        if not coefficient:
            continue
        rule = _fitting(rules, powers)
        if rule is None:
            remainder[powers] = coefficient
            continue
        leading, tail = rule
        spend(len(tail))
        quotient = list(powers)
        for place, power in leading:
            quotient[place] -= power
        for tail_powers, factor in tail:
            product = ring.monomial_mul(quotient, tail_powers)
            if product not in terms:
                heapq.heappush(heap, tuple(-power for power in product))
                terms[product] = coefficient * factor
            else:
                terms[product] += coefficient * factor
    return remainder


def _fitting(rules: list[_Rule], powers: tuple[int, ...]) -> _Rule | None:
    """Return the first rule whose leading term divides a term."""
    for rule in rules:
        for place, power in rule[0]:
            if powers[place] < power:
                break
        else:
            return rule
    return None


def _rule(relation: PolyElement) -> _Rule:
    """Return a relation as a rule for its leading term."""
    leading = [(place, power) for place, power in enumerate(relation.LM) if power]
    tail = [(powers, -c / relation.LC) for powers, c in relation.terms() if powers != relation.LM]
    return leading, tail


def _expanded(expression: Expr) -> Expr:
    """Multiply out what is not too large for it."""
    if (terms := _terms(expression, {})) > _MOST_TERMS:
        raise OutOfReachError(f"an argument has {terms} terms, multiplied out")
    # of SymPy's hints those for polynomials: each is a walk through the whole expression
    return expression.expand(power_base=False, power_exp=False, log=False, basic=False)


def _terms(expression: Expr, known: dict[Expr, int]) -> int:
    """Return how many terms an expression has when it is multiplied out, like ones apart."""
    if expression not in known:
        parts = [_terms(part, known) for part in expression.args]
        count = 1
        if expression.is_Add:
            count = sum(parts)
        elif expression.is_Mul:
            count = math.prod(parts)
        elif expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
            count = math.comb(parts[0] + int(expression.exp) - 1, int(expression.exp))
        known[expression] = count
    return known[expression]
