r"""Formulas in LaTeX (amsmath): ``\mathrm{d}W_{2} = \mathrm{d}Z_{2}^{\top} H_{1}``."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import final

from sympy import Expr, Rational

from derive.notation import Level, Notation, Piece

_ACCENTS = {"tilde": r"\tilde", "hat": r"\hat"}
_CONSTANTS = {"pi": r"\pi", "E": "e"}
_RELATIONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
# what amsmath has a command for; other functions are set as operator names
_COMMANDS = {"exp", "log", "tanh", "sin", "cos", "tan", "sinh", "cosh", "max", "min"}
_OPERATORS = {"atan": "arctan", "sign": "sgn"}
_TALL = re.compile(r"\\(frac|sum|max_|sqrt|left)")
_NAME = re.compile(r"(?P<stem>[A-Za-z]+)(?P<number>\d*)(?:_(?P<suffix>\w+))?")
_DERIVED = (r"\mathrm{d}", r"\mathrm{v}", r"\mathrm{h}")
# vZ1 and hZ1 are how Z1 and dZ1 change along v; htilde and h1 are the lab's, and are not
_ALONG = re.compile(r"[vh](?=(?:[WbZH]\d+|P|[Wb][hy]\d*|[hy](?:tilde|hat)?\d*)\Z)")
# the layers of `derive.layer_names`: W_ℓ, H_{ℓ−1}
_IN_LAYER = re.compile(r"(?P<stem>[A-Za-z])_(?:(?P<one>[ℓN])|\{(?P<other>[ℓN][+−]\d+)\})")
_LAYER_SIGNS = str.maketrans({"ℓ": r"\ell", "−": "-"})


@final
class LatexNotation(Notation):
    """LaTeX for math mode, with amsmath."""

    minus = "-"
    plus_sign = " + "
    minus_sign = " - "
    hadamard_sign = r" \circ "
    quotient_sign = r" \oslash "

    def name(self, name: str) -> str:
        r"""``\mathrm{d}Z_{1}``."""
        return latex_name(name)

    def index(self, name: str) -> str:
        """``i'`` for i2."""
        letter, number = name[0], name[1:]
        return letter + "'" * (int(number) - 1) if number else letter

    def entry(self, name: str, indices: Sequence[str]) -> Piece:
        """``X_{ij}``, ``(Z_{1})_{ij}``."""
        tensor = latex_name(name)
        if not indices:
            return Piece(tensor)
        has_subscript = "_" in tensor or tensor.startswith(_DERIVED)
        shown = f"({tensor})" if has_subscript else tensor
        return Piece(f"{shown}_{{{''.join(indices)}}}")

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

    def transpose(self, operand: Piece) -> Piece:
        r"""``W_{1}^{\top}``."""
        return Piece(self.at_least(operand, Level.ATOM) + r"^{\top}", Level.POWER)

    def ones(self) -> Piece:
        r"""``\mathbf{1}``."""
        return Piece(r"\mathbf{1}")

    def call(self, function: str, arguments: Sequence[str]) -> Piece:
        r"""``\tanh(Z_{1})``."""
        inside = r",\, ".join(arguments)
        if function == "sqrt":
            return Piece(rf"\sqrt{{{inside}}}")
        if function == "abs":
            return Piece(rf"\left|{inside}\right|")
        if function in _COMMANDS:
            return Piece(rf"\{function}{self.bracketed(inside)}")
        operator = _OPERATORS.get(function, function)
        return Piece(rf"\operatorname{{{operator}}}{self.bracketed(inside)}")

    def relation(self, relation: str) -> str:
        r"""``\ge``."""
        return _RELATIONS[relation]

    def sigma(self, index: str) -> str:
        r"""``\sum_{k}``."""
        return rf"\sum_{{{index}}}"

    def largest(self, index: str, body: Piece) -> Piece:
        r"""``\max_{k} Z_{ik}``."""
        return Piece(rf"\max_{{{index}}} {self.at_least(body, Level.PRODUCT)}", Level.TOTAL)

    def delta(self, first: str, second: str) -> Piece:
        r"""``\delta_{ii'}``."""
        return Piece(rf"\delta_{{{first}{second}}}")


@lru_cache(maxsize=4096)
def latex_name(name: str) -> str:
    r"""Write the name of a tensor or size: ``dZ1`` as ``\mathrm{d}Z_{1}``."""
    if len(name) > 1 and (name.startswith("d") or _ALONG.match(name)):
        return rf"\mathrm{{{name[0]}}}" + latex_name(name[1:])
    if layer := _IN_LAYER.fullmatch(name):
        below = layer["one"] or layer["other"]
        return f"{layer['stem']}_{{{below.translate(_LAYER_SIGNS)}}}"
    parts = _NAME.fullmatch(name)
    if parts is None:
        return rf"\mathrm{{{_escaped(name)}}}"
    stem, number, suffix = parts["stem"], parts["number"], parts["suffix"]
    letter, rest = stem[0], stem[1:]
    subscript = [number] if number else []
    if rest in _ACCENTS:
        shown = f"{_ACCENTS[rest]}{{{letter}}}"
    elif not rest:
        shown = letter
    elif len(rest) == 1 or letter == "n":  # Wh, bh: one of a kind; nhidden: a size
        shown = letter
        inner = rest if len(rest) == 1 else rf"\mathrm{{{rest}}}"
        subscript = [f"{inner}_{{{number}}}" if number else inner]
    else:
        shown = rf"\mathrm{{{stem}}}"
    if suffix:
        subscript.append(rf"\mathrm{{{_escaped(suffix)}}}")
    return f"{shown}_{{{', '.join(subscript)}}}" if subscript else shown


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")
