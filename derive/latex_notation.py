r"""Formulas in LaTeX (amsmath): ``\mathrm{d}W_{2} = \mathrm{d}Z_{2}^{\top} H_{1}``."""

import re
from collections.abc import Sequence
from functools import lru_cache

from sympy import Expr, Rational

from derive.name_parts import name_parts
from derive.notation import Level, Notation, Piece

_CONSTANTS = {"pi": r"\pi", "E": "e"}
_RELATIONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
# what amsmath has a command for; other functions are set as operator names
_COMMANDS = {"exp", "log", "tanh", "sin", "cos", "tan", "sinh", "cosh", "max", "min"}
_OPERATORS = {"atan": "arctan", "sign": "sgn"}
_TALL = re.compile(r"\\(frac|sum|max_|sqrt|left)")
_LAYER_SIGNS = str.maketrans({"ℓ": r"\ell", "−": "-"})


class LatexNotation(Notation):
    """LaTeX for math mode, with amsmath."""

    minus = "-"
    plus_sign = " + "
    minus_sign = " - "
    hadamard_sign = r" \circ "
    quotient_sign = r" \oslash "
    dot_sign = r" \cdot "
    times_sign = r" \times "
    approximately_sign = r" \approx "

    def name(self, name: str) -> str:
        r"""``\mathrm{d}Z_{1}``."""
        return latex_name(name)

    def index(self, name: str) -> str:
        """``i'`` for i2."""
        letter, number = name[0], name[1:]
        return letter + "'" * (int(number) - 1) if number else letter

    def entry(self, name: str, indices: Sequence[str]) -> Piece:
        """``X_{ij}``, ``(Z_{1})_{ij}``, ``X_{i,j+k}``."""
        tensor = latex_name(name)
        if not indices:
            return Piece(tensor)
        parts = name_parts(name)
        shown = f"({tensor})" if parts.has_subscript or parts.marks else tensor
        return Piece(f"{shown}_{{{_listed(indices)}}}")

    def number(self, value: Expr) -> Piece:
        r"""``2``, ``\frac{1}{2}``, ``10^{-7}``, ``\pi``."""
        if value.is_NumberSymbol:
            return Piece(_CONSTANTS[str(value)])
        negative, size = bool(value.is_negative), abs(value)
        if value.is_Integer:
            return Piece(str(size), Level.ATOM, negative)
        if value.is_Rational:
            return Piece(rf"\frac{{{size.p}}}{{{size.q}}}", Level.PRODUCT, negative)
        mantissa, _, exponent = repr(float(size)).partition("e")
        if exponent:
            text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
            return Piece(text, Level.PRODUCT, negative)
        return Piece(mantissa, Level.ATOM, negative)

    def bracketed(self, text: str) -> str:
        """``(P - Y)``, with brackets that grow where the text is tall."""
        return rf"\left({text}\right)" if _TALL.search(text) else f"({text})"

    def fraction(self, numerator: Piece, denominator: Piece) -> Piece:
        r"""``\frac{P - Y}{B}``."""
        above, below = self.signed(numerator), self.signed(denominator)
        return Piece(rf"\frac{{{above}}}{{{below}}}", Level.PRODUCT)

    def power(self, base: Piece, exponent: Expr) -> Piece:
        r"""``(H_{1})_{ij}^{2}``, ``\sqrt{B}``."""
        if exponent == Rational(1, 2):
            return self.call("sqrt", [self.signed(base)])
        shown = self.at_least(base, Level.ATOM)
        return Piece(f"{shown}^{{{self.signed(self.number(exponent))}}}", Level.POWER)

    def hadamard_power(self, base: Piece, exponent: Expr) -> Piece:
        r"""``H_{1}^{\circ 3}``."""
        shown = self.at_least(base, Level.ATOM)
        return Piece(rf"{shown}^{{\circ {self.signed(self.number(exponent))}}}", Level.POWER)

    def raised(self, base: Piece, exponent: Piece, *, by_entry: bool) -> Piece:
        r"""``P_{ij}^{Y_{ij}}``, ``P^{\circ Y}``."""
        mark = r"\circ " if by_entry else ""
        above = mark + self.at_least(exponent, Level.PRODUCT) if by_entry else self.signed(exponent)
        return Piece(f"{self.at_least(base, Level.ATOM)}^{{{above}}}", Level.POWER)

    def call_power(self, function: str, exponent: Expr, arguments: Sequence[str]) -> Piece:
        r"""``\tanh^{2}(Z_{1})``."""
        return self._applied(f"{self._operator(function)}^{{{exponent}}}", arguments)

    def transpose(self, operand: Piece) -> Piece:
        r"""``W_{1}^{\top}``."""
        return Piece(self.at_least(operand, Level.ATOM) + r"^{\top}", Level.POWER)

    def ones(self) -> Piece:
        r"""``\mathbf{1}``."""
        return Piece(r"\mathbf{1}")

    def call(self, function: str, arguments: Sequence[str]) -> Piece:
        r"""``\tanh(Z_{1})``."""
        if function == "sqrt":
            return Piece(rf"\sqrt{{{arguments[0]}}}")
        if function == "abs":
            return Piece(rf"\left|{arguments[0]}\right|")
        return self._applied(self._operator(function), arguments)

    def _applied(self, operator: str, arguments: Sequence[str]) -> Piece:
        return Piece(operator + self.bracketed(r",\, ".join(arguments)))

    def _operator(self, function: str) -> str:
        if function in _COMMANDS:
            return rf"\{function}"
        return self.operator(_OPERATORS.get(function, function))

    def operator(self, name: str) -> str:
        r"""``\operatorname{where}``: a function that has no command of its own."""
        return rf"\operatorname{{{name}}}"

    def relation(self, relation: str) -> str:
        r"""``\ge``."""
        return _RELATIONS[relation]

    def sigma(self, index: str) -> str:
        r"""``\sum_{k}``."""
        return rf"\sum_{{{index}}}"

    def largest(self, index: str, body: Piece) -> Piece:
        r"""``\max_{k} Z_{ik}``."""
        return Piece(rf"\max_{{{index}}} {self.at_least(body, Level.PRODUCT)}", Level.TOTAL)

    def differential(self, variable: str) -> str:
        r"""``\partial Z_{ij}``."""
        return rf"\partial {variable}"

    def hessian_product(self, parameter: str) -> Piece:
        r"""``(\nabla^{2} \mathrm{loss}\, v)_{W_{1}}``."""
        return Piece(rf"(\nabla^{{2}} \mathrm{{loss}}\, v)_{{{latex_name(parameter)}}}")

    def delta(self, first: str, second: str) -> Piece:
        r"""``\delta_{ii'}``."""
        return Piece(rf"\delta_{{{_listed((first, second))}}}")

    def matrix(self, rows: Sequence[Sequence[str]]) -> Piece:
        r"""``\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}``."""
        lines = [" & ".join(row) for row in rows]
        # fractions of two rows would touch
        below = r" \\[3pt] " if any(r"\frac" in line for line in lines) else r" \\ "
        return Piece(rf"\begin{{pmatrix}} {below.join(lines)} \end{{pmatrix}}")


def _listed(indices: Sequence[str]) -> str:
    """Write indices side by side, with commas where one of them is a sum."""
    return ("," if any(set("+-") & set(index) for index in indices) else "").join(indices)


@lru_cache(maxsize=4096)
def latex_name(name: str) -> str:
    r"""Write the name of a tensor or size: ``dZ1`` as ``\mathrm{d}Z_{1}``."""
    parts = name_parts(name)
    shown = _word(parts.stem)
    if parts.accent:
        shown = f"\\{parts.accent}{{{shown}}}"
    below = [_word(parts.subscript)] if parts.subscript else []
    if parts.number:
        number = parts.number.translate(_LAYER_SIGNS)
        below = [f"{below[0]}_{{{number}}}" if below else number]
    if parts.suffix:
        below.append(rf"\mathrm{{{_escaped(parts.suffix)}}}")
    subscript = f"_{{{', '.join(below)}}}" if below else ""
    marks = "".join(rf"\mathrm{{{mark}}}" for mark in parts.marks)
    return marks + shown + subscript


def _word(text: str) -> str:
    if len(text) == 1:
        return text.translate(_LAYER_SIGNS)
    return rf"\mathrm{{{_escaped(text)}}}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")
