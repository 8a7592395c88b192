"""Formulas in MathML Core, which browsers show without a library or a network.

Every piece of text is a run of MathML elements. Pieces that are put under one element, such
as the base of a power, are wrapped in ``mrow``.

References
----------
W3C, *MathML Core*, https://www.w3.org/TR/mathml-core/
"""

import re
from collections.abc import Sequence
from html import escape
from typing import final

from sympy import Expr, Rational

from derive.name_parts import name_parts
from derive.notation import Level, Notation, Piece

_CONSTANTS = {"pi": "π", "E": "e"}
_RELATIONS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}
_OPERATORS = {"atan": "arctan", "sign": "sgn"}
_ACCENTS = {"tilde": "~", "hat": "^"}
_COMMA = '<mo separator="true">,</mo>'
_APPLY = "<mo>&#x2061;</mo>"  # the invisible sign between a function and its argument
_TIMES = "<mo>&#x2062;</mo>"  # the invisible sign between factors
_TALL = re.compile("<(mfrac|munder|msqrt)")
# a name or an entry: what stands before its subscript is only a mark such as d
_SUBSCRIPTED = re.compile(
    r'(?P<before>(<mrow>(<mi mathvariant="normal">[dvh]</mi>)+)?)'
    r"<msub>(?P<inside>((?!</?msub>).)*)</msub>(?P<after>(</mrow>)?)"
)
_UPRIGHT = ' mathvariant="normal"'


@final
class MathmlNotation(Notation):
    """MathML Core; `mathml` makes a whole formula of it."""

    slash = '<mo lspace="0" rspace="0">/</mo>'
    minus = '<mo form="prefix">−</mo>'
    plus_sign = '<mo form="infix">+</mo>'
    minus_sign = '<mo form="infix">−</mo>'
    # spaces as browsers have them; MathJax knows none for these, or at the start of a cell
    hadamard_sign = '<mo lspace="0.2222em" rspace="0.2222em">∘</mo>'
    quotient_sign = '<mo lspace="0.2222em" rspace="0.2222em">⊘</mo>'
    dot_sign = "<mo>·</mo>"
    times_sign = "<mo>×</mo>"
    approximately_sign = "<mo>≈</mo>"
    equals_sign = '<mo lspace="0.2778em" rspace="0.2778em">=</mo>'
    product_sign = f'{_TIMES}<mspace width="0.17em"/>'

    def name(self, name: str) -> str:
        """``<msub><mi>Z</mi><mn>1</mn></msub>``."""
        return _name(name)

    def index(self, name: str) -> str:
        """``i′`` for i2."""
        letter, number = name[0], name[1:]
        if not number:
            return f"<mi>{escape(letter)}</mi>"
        primes = "′" * (int(number) - 1)  # raised by itself
        return _row(f'<mi>{escape(letter)}</mi><mo lspace="0" rspace="0">{primes}</mo>')

    def entry(self, name: str, indices: Sequence[str]) -> Piece:
        """``X`` or ``(Z₁)`` with its indices below."""
        tensor = _name(name)
        if not indices:
            return Piece(tensor)
        parts = name_parts(name)
        compound = parts.has_subscript or parts.marks
        shown = self.bracketed(tensor) if compound else tensor
        return Piece(f"<msub>{shown}{_row(_listed(indices))}</msub>")

    def number(self, value: Expr) -> Piece:
        """``2``, a fraction, a power of ten, ``π``."""
        if value.is_NumberSymbol:
            return Piece(f"<mi>{_CONSTANTS[str(value)]}</mi>")
        negative, size = bool(value.is_negative), abs(value)
        if value.is_Integer:
            return Piece(f"<mn>{size}</mn>", Level.ATOM, negative)
        if value.is_Rational:
            text = f"<mfrac><mn>{size.p}</mn><mn>{size.q}</mn></mfrac>"
            return Piece(text, Level.PRODUCT, negative)
        mantissa, _, exponent = repr(float(size)).partition("e")
        text = f"<mn>{mantissa}</mn>"
        if not exponent:
            return Piece(text, Level.ATOM, negative)
        sign = self.minus if int(exponent) < 0 else ""
        power = f"<msup><mn>10</mn>{_row(f'{sign}<mn>{abs(int(exponent))}</mn>')}</msup>"
        return Piece(f"{text}<mo>·</mo>{power}", Level.PRODUCT, negative)

    def bracketed(self, text: str) -> str:
        """Set brackets, which grow where the text is tall."""
        stretchy = "true" if _TALL.search(text) else "false"
        bracket = f'<mo stretchy="{stretchy}" lspace="0" rspace="0">'
        return _row(f"{bracket}(</mo>{text}{bracket})</mo>")

    def fraction(self, numerator: Piece, denominator: Piece) -> Piece:
        """Write a quotient, one over the other."""
        above, below = _row(self.signed(numerator)), _row(self.signed(denominator))
        return Piece(f"<mfrac>{above}{below}</mfrac>", Level.PRODUCT)

    def power(self, base: Piece, exponent: Expr) -> Piece:
        """Write a power, or a square root."""
        if exponent == Rational(1, 2):
            return self.call("sqrt", [self.signed(base)])
        shown = self.signed(self.number(exponent))
        return self._raised(base, shown)

    def hadamard_power(self, base: Piece, exponent: Expr) -> Piece:
        """Write a power of each entry."""
        return self._raised(base, f"<mo>∘</mo>{self.signed(self.number(exponent))}")

    def raised(self, base: Piece, exponent: Piece, *, by_entry: bool) -> Piece:
        """Write a power, behind a small ring if it is taken of each entry."""
        if by_entry:
            return self._raised(base, f"<mo>∘</mo>{self.at_least(exponent, Level.PRODUCT)}")
        return self._raised(base, self.signed(exponent))

    def call_power(self, function: str, exponent: Expr, arguments: Sequence[str]) -> Piece:
        """Write a function's power with the exponent behind the function's name."""
        operator = f"<msup>{self._operator(function)}<mn>{exponent}</mn></msup>"
        return self._applied(operator, arguments)

    def transpose(self, operand: Piece) -> Piece:
        """Write a transposed matrix."""
        return self._raised(operand, f"<mi{_UPRIGHT}>⊤</mi>")

    def ones(self) -> Piece:
        """Write a bold 1."""
        return Piece('<mn style="font-weight: bold">1</mn>')

    def call(self, function: str, arguments: Sequence[str]) -> Piece:
        """Write a function with its arguments in brackets."""
        if function == "sqrt":
            return Piece(f"<msqrt>{arguments[0]}</msqrt>")
        if function == "abs":
            bar = '<mo fence="true" stretchy="true" form="{}">|</mo>'
            text = f"{bar.format('prefix')}{arguments[0]}{bar.format('postfix')}"
            return Piece(f"<mrow>{text}</mrow>")
        return self._applied(self._operator(function), arguments)

    def _operator(self, function: str) -> str:
        return f"<mi>{escape(_OPERATORS.get(function, function))}</mi>"

    def _applied(self, operator: str, arguments: Sequence[str]) -> Piece:
        return Piece(f"{operator}{_APPLY}{self.bracketed(_COMMA.join(arguments))}")

    def relation(self, relation: str) -> str:
        """``≥``."""
        return f"<mo>{escape(_RELATIONS[relation])}</mo>"

    def sigma(self, index: str) -> str:
        """Write a sum sign over its index."""
        return f"<munder><mo>∑</mo>{_row(index)}</munder>"

    def largest(self, index: str, body: Piece) -> Piece:
        """``max`` over its index."""
        limit = f'<munder><mo form="prefix" lspace="0">max</mo>{_row(index)}</munder>'
        return Piece(f"{limit}{self.at_least(body, Level.PRODUCT)}", Level.TOTAL)

    def differential(self, variable: str) -> str:
        """``∂`` upright, and what it is of."""
        return f"<mi{_UPRIGHT}>∂</mi>{variable}"

    def hessian_product(self, parameter: str) -> Piece:
        """Write ``(∇² loss v)`` with the parameter below."""
        nabla = f"<msup><mi{_UPRIGHT}>∇</mi><mn>2</mn></msup>"
        product = self.product_sign.join([f"{nabla}<mi>loss</mi>", "<mi>v</mi>"])
        return Piece(f"<msub>{self.bracketed(product)}{_row(_name(parameter))}</msub>")

    def delta(self, first: str, second: str) -> Piece:
        """Write a Kronecker delta with its indices below."""
        return Piece(f"<msub><mi>δ</mi>{_row(_listed((first, second)))}</msub>")

    def matrix(self, rows: Sequence[Sequence[str]]) -> Piece:
        """Write a table of entries in brackets that are as tall as it is."""
        lines = ("".join(f"<mtd>{entry}</mtd>" for entry in row) for row in rows)
        table = "".join(f"<mtr>{line}</mtr>" for line in lines)
        return Piece(_row(f"<mo>(</mo><mtable>{table}</mtable><mo>)</mo>"))

    def _raised(self, base: Piece, exponent: str) -> Piece:
        shown = self.at_least(base, Level.ATOM)
        found = _SUBSCRIPTED.fullmatch(shown)
        if found:
            # one above the other, as in print
            inside = f"{found['inside']}{_row(exponent)}"
            return Piece(f"{found['before']}<msubsup>{inside}</msubsup>{found['after']}",
                         Level.POWER)  # fmt: skip
        return Piece(f"<msup>{_row(shown)}{_row(exponent)}</msup>", Level.POWER)


def mathml(formula: str, *, display: bool = False) -> str:
    """Return pieces as a ``math`` element, in the style of a line of its own if `display`."""
    style = ' displaystyle="true"' if display else ""
    return f"<math{style}>{formula}</math>"


def _name(name: str) -> str:
    parts = name_parts(name)
    shown = _word(parts.stem)
    if parts.accent:
        mark = f'<mo stretchy="false">{_ACCENTS[parts.accent]}</mo>'
        shown = f'<mover accent="true">{shown}{mark}</mover>'
    below = _word(parts.subscript) if parts.subscript else ""
    if parts.number:
        number = _number(parts.number)
        below = f"<msub>{below}{number}</msub>" if below else number
    if parts.suffix:
        below += (_COMMA if below else "") + f"<mi{_UPRIGHT}>{escape(parts.suffix)}</mi>"
    if below:
        shown = f"<msub>{shown}{_row(below)}</msub>"
    if parts.marks:
        return _row("".join(f"<mi{_UPRIGHT}>{mark}</mi>" for mark in parts.marks) + shown)
    return shown


def _number(text: str) -> str:
    """Return digits, or a layer such as ``ℓ+1``."""
    if text.isdigit():
        return f"<mn>{text}</mn>"
    letter, sign, distance = text[0], text[1:2], text[2:]
    if not sign:
        return f"<mi>{letter}</mi>"
    # as close as in print, below the line
    return _row(f'<mi>{letter}</mi><mo lspace="0" rspace="0">{sign}</mo><mn>{distance}</mn>')


def _word(text: str) -> str:
    """Return a letter in italics or a word upright, as MathML does by itself."""
    return f"<mi>{escape(text)}</mi>"


def _listed(indices: Sequence[str]) -> str:
    """Write indices side by side, with commas where one of them is a sum."""
    has_sum = any(sign in index for index in indices for sign in (">+<", ">−<"))
    return ("<mo>,</mo>" if has_sum else "").join(indices)


def _row(text: str) -> str:
    return f"<mrow>{text}</mrow>"
