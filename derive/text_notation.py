"""Formulas as plain text for a terminal: ``dZ1 = dH1 ∘ (1 − H1 ∘ H1)``."""

import re
from collections.abc import Sequence
from typing import final

from sympy import Expr, Rational

from derive.notation import Level, Notation, Piece

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_CONSTANTS = {"pi": "π", "E": "e"}
_WHOLE = re.compile(r"\w+(\[[^\]]*\])?")  # what a root may stand before without brackets


@final
class TextNotation(Notation):
    """Unicode text on one line; names are as they are in the programme."""

    minus = "−"
    plus_sign = " + "
    minus_sign = " − "
    hadamard_sign = " ∘ "
    quotient_sign = " ⊘ "
    dot_sign = " · "
    times_sign = " × "
    approximately_sign = " ≈ "

    def name(self, name: str) -> str:
        """``dZ1``."""
        return name

    def index(self, name: str) -> str:
        """``i2``."""
        return name

    def entry(self, name: str, indices: Sequence[str]) -> Piece:
        """``Z1[i,j]``."""
        return Piece(f"{name}[{','.join(indices)}]" if indices else name)

    def number(self, value: Expr) -> Piece:
        """``2``, ``1/2``, ``0.1``, ``π``."""
        if value.is_NumberSymbol:
            return Piece(_CONSTANTS[str(value)])
        negative, size = bool(value.is_negative), abs(value)
        if value.is_Rational:
            level = Level.ATOM if value.is_Integer else Level.FRACTION
            return Piece(str(size), level, negative)
        return Piece(repr(float(size)), Level.ATOM, negative)

    def bracketed(self, text: str) -> str:
        """``(P − Y)``."""
        return f"({text})"

    def fraction(self, numerator: Piece, denominator: Piece) -> Piece:
        """``(P − Y)/B``; with room around the stroke where a product stands above it."""
        is_product = numerator.level in (Level.OPEN, Level.TOTAL, Level.PRODUCT)
        above = numerator.text if is_product else self.at_least(numerator, Level.POWER)
        if denominator.level == Level.TOTAL:
            return Piece(f"{above} / {denominator.text}", Level.OPEN)
        below = self.at_least(denominator, Level.POWER)
        if is_product:
            return Piece(f"{above} / {below}", Level.OPEN)
        return Piece(f"{above}/{below}", Level.FRACTION)

    def power(self, base: Piece, exponent: Expr) -> Piece:
        """``H1[i,j]²``, ``√B``, ``B^(3/2)``."""
        if exponent == Rational(1, 2):
            return self.call("sqrt", [self.signed(base)])
        shown = self.at_least(base, Level.ATOM)
        if exponent.is_Integer:
            return Piece(shown + str(exponent).translate(_SUPERSCRIPTS), Level.POWER)
        return Piece(f"{shown}^{self._exponent(exponent)}", Level.POWER)

    def hadamard_power(self, base: Piece, exponent: Expr) -> Piece:
        """``H1^∘3``."""
        shown = self.at_least(base, Level.ATOM)
        return Piece(f"{shown}^∘{self._exponent(exponent)}", Level.POWER)

    def raised(self, base: Piece, exponent: Piece, *, by_entry: bool) -> Piece:
        """``P[i,j]^Y[i,j]``, ``P^∘Y``."""
        below, above = (self.at_least(part, Level.ATOM) for part in (base, exponent))
        return Piece(f"{below}^{'∘' if by_entry else ''}{above}", Level.POWER)

    def call_power(self, function: str, exponent: Expr, arguments: Sequence[str]) -> Piece:
        """``tanh²(Z1)``."""
        return self.call(function + str(exponent).translate(_SUPERSCRIPTS), arguments)

    def transpose(self, operand: Piece) -> Piece:
        """``W1ᵀ``."""
        return Piece(self.at_least(operand, Level.ATOM) + "ᵀ", Level.POWER)

    def ones(self) -> Piece:
        """``1``."""
        return Piece("1")

    def call(self, function: str, arguments: Sequence[str]) -> Piece:
        """``tanh(Z1)``, ``√2``, ``√(2/π)``."""
        if function == "sqrt":
            (argument,) = arguments
            whole = argument if _WHOLE.fullmatch(argument) else self.bracketed(argument)
            return Piece(f"√{whole}", Level.POWER)
        return Piece(f"{function}({', '.join(arguments)})")

    def relation(self, relation: str) -> str:
        """``>``."""
        return relation

    def sigma(self, index: str) -> str:
        """``Σ_k``."""
        return f"Σ_{index}"

    def largest(self, index: str, body: Piece) -> Piece:
        """``max_k(Z1[i,k])``."""
        return Piece(f"max_{index}({self.signed(body)})")

    def differential(self, variable: str) -> str:
        """``∂W1``."""
        return f"∂{variable}"

    def partial(self, function: str, variable: str) -> Piece:
        """``∂P[i2,k]/∂Z2[i,j]``."""
        return Piece(self.partial_in_line(function, variable))

    def hessian_product(self, parameter: str) -> Piece:
        """``(∇²loss v) in W1``."""
        return Piece(f"(∇²loss v) in {parameter}")

    def delta(self, first: str, second: str) -> Piece:
        """``δ[i,i2]``."""
        return Piece(f"δ[{first},{second}]")

    def matrix(self, rows: Sequence[Sequence[str]]) -> Piece:
        """``[1, 2; 3, 4]``."""
        return Piece(f"[{'; '.join(', '.join(row) for row in rows)}]")

    def _exponent(self, exponent: Expr) -> str:
        return self.at_least(self.number(exponent), Level.POWER)
