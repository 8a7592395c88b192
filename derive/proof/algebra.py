"""An exact test for zero of expressions without indices, by algebra alone.

Function applications become symbols: ``tanh(Z)`` is one symbol wherever it stands, and
``exp(-2 Z)`` is the inverse square of that of ``exp(Z)``. A comparison becomes a symbol s
with ``s**2 = s``. What is left is a rational function, and each distinct denominator D
becomes a symbol r with ``r D = 1``, so that there are polynomials and relations between
them. Then:

1. at a random point modulo a prime, a value other than 0 settles that it is not zero;
2. otherwise the polynomial is expanded; then reduced by the relations; and if it is still
   not 0, it is multiplied by all denominators, after which nothing is left to chance.

What is called zero is zero wherever it is defined. Relations between functions that are
not known here, such as that of sin and cos, can only be missed. `simplify` would know some,
and takes 70 times as long.
"""

import heapq
import random
from collections.abc import Iterable

import sympy
from sympy import QQ, Dummy, Expr, Mul, Piecewise, Rational
from sympy.core.function import Application
from sympy.core.relational import GreaterThan, LessThan, StrictGreaterThan, StrictLessThan
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, PolyRing

from derive.errors import InternalError

_PRIME = 2**61 - 1
_SEED = 20080101  # any: it decides how fast a non-zero is seen, not the outcome


class Algebra:
    """Turns expressions into polynomials, the same call into the same symbol, and compares."""

    def __init__(self) -> None:
        self._symbols: dict[tuple[object, ...], Dummy] = {}
        self._bits: set[Expr] = set()
        self._denominators: dict[Expr, Expr] = {}
        self._done: dict[Expr, Expr] = {}
        self._random = random.Random(_SEED)  # a point, not a secret
        self._point: dict[Expr, int] = {}

    def is_zero(self, expression: Expr) -> bool:
        """Whether `expression` is 0 wherever it is defined; False also means: not seen."""
        polynomial = self.polynomial(expression)
        if self._modular(polynomial, {}) != 0:
            return False
        relations = self._relations(polynomial)
        generators = self._generators([polynomial, *relations])
        if not generators:
            return bool(polynomial == 0)
        ring = PolyRing(generators, QQ, lex)
        element = ring.from_expr(polynomial)
        if not element:
            return True
        remainder = _reduced(element, [ring.from_expr(relation) for relation in relations])
        return not remainder or not self._cleared(remainder, ring)

    def without_cases(self, expression: Expr) -> Expr:
        """Return `expression` with ``s a + (1 - s) b`` for a where b otherwise.

        It is for expressions that others are to be put into: SymPy rewrites conditions when
        something is put into them, and then they are no longer recognised.
        """
        if not expression.has(Piecewise):
            return expression
        if isinstance(expression, Piecewise):
            *branches, (result, _) = expression.args
            result = self.without_cases(result)
            for value, condition in reversed(branches):
                bit = self._truth(condition)
                result = bit * self.without_cases(value) + (1 - bit) * result
            return result
        return expression.func(*map(self.without_cases, expression.args))

    def polynomial(self, expression: Expr) -> Expr:
        """Return `expression` with function applications and denominators as symbols."""
        if expression.is_Float:
            raise InternalError(f"the proof is about exact numbers, and {expression} is not one")
        if not expression.args:
            return expression
        if expression not in self._done:
            self._done[expression] = self._polynomial(expression)
        return self._done[expression]

    def _polynomial(self, expression: Expr) -> Expr:
        if isinstance(expression, Piecewise):
            return self.polynomial(self.without_cases(expression))
        parts = [self.polynomial(argument) for argument in expression.args]
        if isinstance(expression, sympy.exp):
            return self._exponential(sympy.expand(parts[0]))
        if expression.is_Add or expression.is_Mul:
            return expression.func(*parts)
        if expression.is_Pow and expression.exp.is_Rational:
            base, exponent = parts[0], expression.exp
            if exponent.q != 1:
                base = self._symbol("root", exponent.q, sympy.expand(base))
            return self._inverse(base) ** -exponent.p if exponent.p < 0 else base**exponent.p
        if isinstance(expression, Application):
            return self._symbol(expression.func, *map(sympy.expand, parts))
        raise InternalError(f"the proof does not know {expression.func}: {expression}")

    def _exponential(self, exponent: Expr) -> Expr:
        """Return ``exp(c*m)`` as the power c of the symbol for ``exp(m)``."""
        content, primitive = exponent.as_content_primitive()
        if primitive.could_extract_minus_sign():
            content, primitive = -content, sympy.expand(-primitive)
        if not content.is_Rational:
            raise InternalError(f"the proof does not know the exponent {exponent}")
        symbol = self._symbol(sympy.exp, primitive / content.q)
        return self._inverse(symbol) ** -content.p if content.p < 0 else symbol**content.p

    def _truth(self, condition: Expr) -> Dummy:
        """Return the symbol of a comparison, whichever way round it is written."""
        if isinstance(condition, GreaterThan | LessThan | StrictGreaterThan | StrictLessThan):
            difference = self.polynomial(condition.gts - condition.lts)
            strict = isinstance(condition, StrictGreaterThan | StrictLessThan)
            bit = self._symbol("positive", strict, sympy.expand(difference))
        else:  # some other statement that is true or false
            bit = self._symbol("holds", condition)
        self._bits.add(bit)
        return bit

    def _inverse(self, expression: Expr) -> Expr:
        """Return one over a polynomial, as a polynomial in symbols for inverses."""
        if expression.is_Rational:
            if expression == 0:
                raise InternalError("a denominator is 0")
            return Rational(1) / expression
        if expression in self._denominators:
            return self._denominators[expression]
        if expression.is_Mul:
            return Mul(*(self._inverse(factor) for factor in expression.args))
        if expression.is_Pow:
            return self._inverse(expression.base) ** expression.exp
        denominator = sympy.expand(expression)
        symbol = self._symbol("inverse", denominator)
        self._denominators[symbol] = denominator
        return symbol

    def _symbol(self, *key: object) -> Dummy:
        return self._symbols.setdefault(key, Dummy(f"f{len(self._symbols)}", positive=True))

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
            return pow(self._modular(self._denominators[symbol], done), -1, _PRIME)
        if symbol not in self._point:
            upper = 2 if symbol in self._bits else _PRIME
            self._point[symbol] = self._random.randrange(upper)
        return self._point[symbol]

    def _relations(self, polynomial: Expr) -> list[Expr]:
        """Return what is 0 by definition of the symbols in a polynomial, and in these."""
        found: dict[Expr, None] = {}
        waiting = list(polynomial.free_symbols)
        seen = set(waiting)
        while waiting:
            symbol = waiting.pop()
            if symbol in self._bits:
                found[symbol**2 - symbol] = None
            if symbol in self._denominators:
                denominator = self._denominators[symbol]
                found[sympy.expand(symbol * denominator) - 1] = None
                waiting += denominator.free_symbols - seen
                seen |= denominator.free_symbols
        return sorted(found, key=sympy.default_sort_key)

    def _generators(self, expressions: Iterable[Expr]) -> list[Expr]:
        atoms = {
            atom for e in expressions for atom in (*e.free_symbols, *e.atoms(sympy.NumberSymbol))
        }
        return sorted(atoms, key=sympy.default_sort_key)

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
                parts[powers[position]] += ring.term_new(rest, coefficient)
            element = ring.zero
            for part in parts:  # Horner's rule in the denominator
                element = element * denominator + part
        bits = [ring.from_expr(bit**2 - bit) for bit in ring.symbols if bit in self._bits]
        return _reduced(element, bits)


def _reduced(element: PolyElement, relations: list[PolyElement]) -> PolyElement:
    """Return the remainder of a polynomial by relations in lexicographic order.

    As ``PolyElement.rem``, which looks for the leading term anew in every step.
    """
    ring = element.ring
    rules = [
        (relation.LM, relation.LC, relation - relation.leading_term()) for relation in relations
    ]
    terms = dict(element.terms())
    heap = [tuple(-power for power in powers) for powers in terms]
    heapq.heapify(heap)
    remainder = ring.zero
    while heap:
        powers = tuple(-power for power in heapq.heappop(heap))
        coefficient = terms.pop(powers, 0)
        rule = next((r for r in rules if ring.monomial_div(powers, r[0]) is not None), None)
        if not coefficient:
            continue
        if rule is None:
            remainder[powers] = coefficient
            continue
        leading, divisor, tail = rule
        quotient = ring.monomial_div(powers, leading)
        for tail_powers, tail_coefficient in tail.terms():
            product = ring.monomial_mul(quotient, tail_powers)
            if product not in terms:
                heapq.heappush(heap, tuple(-power for power in product))
            terms[product] = terms.get(product, 0) - coefficient / divisor * tail_coefficient
    return remainder
