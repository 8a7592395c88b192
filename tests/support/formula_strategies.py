"""Hypothesis draws formulas, as syntax trees and as SymPy expressions."""

from fractions import Fraction

import sympy
from hypothesis import strategies as st
from sympy import Expr, Piecewise, Rational
from sympy.core.relational import Relational

from derive.formula_constants import FUNCTIONS
from derive.formula_sympy import COMPARE, LARGEST_PLAIN
from derive.formula_tree import Binary, Call, Comparison, Name, Negative, Node, Number
from derive.kinks import PLAIN, Max, Min
from derive.notation import FUNCTIONS as FROM_SYMPY

VARIABLES = ("x", "y_1", "Z")
SYMBOLS = tuple(sympy.Symbol(name, real=True) for name in VARIABLES)

numbers = st.builds(
    lambda digits, exponent: Number(value=Fraction(digits) * Fraction(10) ** exponent),
    st.integers(0, 10**20),
    st.integers(-280, 280),
)
names = st.sampled_from([*VARIABLES, "pi"]).map(lambda name: Name(name=name))


def _larger(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    comparisons = st.builds(
        lambda sign, left, right: Comparison(operator=sign, left=left, right=right),
        st.sampled_from(list(COMPARE)),
        inner,
        inner,
    )
    return st.one_of(
        st.builds(lambda operand: Negative(operand=operand), inner),
        st.builds(
            lambda sign, left, right: Binary(operator=sign, left=left, right=right),
            st.sampled_from(["+", "-", "*", "/", "**"]),
            inner,
            inner,
        ),
        st.sampled_from([*FUNCTIONS]).flatmap(
            lambda name: st.tuples(*[inner] * FUNCTIONS[name].arity).map(
                lambda arguments: Call(function=name, arguments=arguments)
            )
        ),
        st.builds(
            lambda *arguments: Call(function="where", arguments=arguments),
            comparisons,
            inner,
            inner,
        ),
    )


trees: st.SearchStrategy[Node] = st.recursive(numbers | names, _larger, max_leaves=30)
"""Any formula at all, whatever its constants come to."""


rationals = st.builds(Rational, st.integers(-9, 9), st.integers(1, 9))
# of those with a kink, those that a formula is read as
_FUNCTIONS = [f for f in FROM_SYMPY if f not in (*PLAIN.values(), Max, Min)]


RELATIONS = list(COMPARE.values())


def _choice(relation: type[Relational], symbol: Expr, then: Expr, otherwise: Expr) -> Expr:
    return Piecewise((then, relation(symbol, 1)), (otherwise, True))


def _larger_expression(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a / (1 + b**2), inner, inner),
        st.builds(lambda a, n: (1 + a**2) ** n, inner, rationals),
        st.builds(lambda function, a: function(1 + a**2), st.sampled_from(_FUNCTIONS), inner),
        st.builds(Max, inner, inner),
        st.builds(Min, inner, inner),
        st.builds(_choice, st.sampled_from(RELATIONS), st.sampled_from(SYMBOLS), inner, inner),
    )


expressions: st.SearchStrategy[Expr] = st.recursive(
    rationals | st.sampled_from([*SYMBOLS, sympy.pi, sympy.E]), _larger_expression, max_leaves=8
)
"""Expressions of the words of the language."""


def belongs(expression: Expr) -> bool:
    """Return whether SymPy builds it from its parts, and all its constants stay exact."""
    constants = [part for part in sympy.preorder_traversal(expression) if not part.free_symbols]
    plain = all(max(abs(n.p), n.q) <= LARGEST_PLAIN for n in expression.atoms(Rational))
    values = [sympy.N(part, 30) for part in constants if isinstance(part, Expr) and part != 0]
    moderate = all(v.is_comparable and 1e-20 < abs(v) < 1e90 for v in values)  # none cancels
    return plain and moderate and _rebuilt(expression) == expression


def _rebuilt(expression: Expr) -> Expr:
    if not expression.args:
        return expression
    return expression.func(*(_rebuilt(argument) for argument in expression.args))
