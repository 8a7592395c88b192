"""Reads formulas back from the text that is printed, by the rules that a reader goes by.

Strongest first: ``√2``; ``Aᵀ``, ``x²``, ``A^∘3``, ``tanh²(A)``; products ``A B``; quotients
``A / B``; ``∘`` and ``⊘``; ``Σ_k`` over all that follows up to a ``+`` or ``−``; and these.
Brackets the rest. The result is a tree of tuples; nothing here comes from the printers.
"""

import re
from collections.abc import Iterator

import numpy as np
from matrix_values import FUNCTIONS, RELATIONS, ShapesDisagreeError, alike, product, scalar_value

Tree = tuple

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_TOKEN = re.compile(
    r"\s*(?P<token>Σ_\w+|\^∘?|[A-Za-z][A-Za-z0-9_]*(?:\[[a-z0-9,]+\])?|π|\d+(?:\.\d+)?(?:e-?\d+)?"
    rf"|[{_SUPERSCRIPTS}]+|>=|<=|==|!=|[√−+∘⊘/()<>,ᵀ])"
)


def parse(text: str) -> Tree:
    """Return the tree of a formula's right-hand side."""
    reader = _Reader(_tokens(text))
    tree = reader.sum()
    assert reader.next() is None, f"{text}: {reader.next()} is left over"
    return tree


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match, f"{text[position:]!r} cannot be read"
        tokens.append(match["token"])
        position = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    def next(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.tokens[self.position]
        assert expected in (None, token), f"{expected} expected, {token} found"
        self.position += 1
        return token

    def sum(self) -> Tree:
        terms = [self.signed()]
        while self.next() in ("+", "−"):
            sign = self.take()
            term = self.elementwise()
            terms.append(term if sign == "+" else ("minus", term))
        return ("plus", *terms) if len(terms) > 1 else terms[0]

    def signed(self) -> Tree:
        if self.next() == "−":
            self.take()
            return ("minus", self.elementwise())
        return self.elementwise()

    def elementwise(self) -> Tree:
        result = self.quotient()
        while self.next() in ("∘", "⊘"):
            result = (self.take(), result, self.quotient())
        return result

    def quotient(self) -> Tree:
        result = self.juxtaposed()
        if self.next() == "/":
            self.take()
            below = self.total() if self._is_sigma() else self.postfix()
            return ("/", result, below)
        return result

    def juxtaposed(self) -> Tree:
        factors = []
        while not factors or self._starts_factor():
            if self._is_sigma():  # it takes in the rest
                factors.append(self.total())
                break
            factors.append(self.postfix())
        return ("beside", *factors) if len(factors) > 1 else factors[0]

    def total(self) -> Tree:
        index = self.take().removeprefix("Σ_")
        return ("Σ", index, self.quotient())

    def postfix(self) -> Tree:
        result = self.atom()
        while (token := self.next()) is not None:
            if token == "ᵀ":
                self.take()
                result = ("ᵀ", result)
            elif token[0] in _SUPERSCRIPTS:
                result = ("^", result, self.superscript())
            elif token in ("^", "^∘"):
                result = (self.take(), result, self.atom())
            else:
                break
        return result

    def superscript(self) -> Tree:
        digits = "".join(str(_SUPERSCRIPTS.index(digit)) for digit in self.take())
        return ("number", float(digits))

    def atom(self) -> Tree:
        token = self.take()
        if token == "√":
            return ("sqrt", self.atom())
        if token == "(":
            result = self.sum()
            self.take(")")
            return result
        if token[0].isdigit():
            return ("number", float(token)) if token != "1" else ("one",)
        if "[" in token:
            name, places = token[:-1].split("[")
            return ("entry", name, tuple(places.split(",")))
        if self.next() == "(" and token in {*FUNCTIONS, "where", "diag"}:
            return self.call(token)
        if token in FUNCTIONS and (self.next() or " ")[0] in _SUPERSCRIPTS:
            power = self.superscript()
            return ("^", self.call(token), power)
        assert token.isidentifier(), f"{token} is out of place"
        return ("name", token)

    def call(self, function: str) -> Tree:
        self.take("(")
        arguments: list[Tree] = []
        relation = ""
        while True:
            arguments.append(self.sum())
            token = self.take()
            if token == ")":
                break
            if token in RELATIONS:
                relation = token
        return (function, *((relation,) if relation else ()), *arguments)

    def _is_sigma(self) -> bool:
        return (self.next() or "").startswith("Σ_")

    def _starts_factor(self) -> bool:
        token = self.next()
        return token is not None and (token in "(√" or token[0].isalnum() or self._is_sigma())


def read_matrix(
    tree: Tree, arrays: dict[str, np.ndarray], sizes: dict[str, int], ones: Iterator[np.ndarray]
) -> np.ndarray:
    """Return the value of a formula in matrix form; `ones` gives what each 1 stands for."""

    def value(part: Tree) -> np.ndarray:
        return read_matrix(part, arrays, sizes, ones)

    match tree:
        case ("one",):
            return next(ones)
        case ("number", number):
            return np.array(number)
        case ("name", name):
            if name in sizes:
                return np.array(float(sizes[name]))
            array = np.asarray(arrays[name])
            return array[:, None] if array.ndim == 1 else array
        case ("plus", *terms):
            return sum(alike(*map(value, terms)))
        case ("minus", part):
            return -value(part)
        case ("beside", *factors):
            return _beside([value(factor) for factor in factors])
        case ("∘", left, right):
            return np.multiply(*alike(value(left), value(right)))
        case ("⊘", left, right):
            return np.divide(*alike(value(left), value(right)))
        case ("/", above, below):
            above_value = value(above)
            return above_value / scalar_value(value(below))
        case ("ᵀ", part):
            return value(part).T
        case ("^" | "^∘", base, exponent):
            return value(base) ** _exponent(exponent)
        case ("diag", part):
            return np.diag(value(part)[:, 0])
        case ("where", relation, left, right, then, otherwise):
            a, b, yes, no = alike(*map(value, (left, right, then, otherwise)))
            return np.where(RELATIONS[relation](a, b), yes, no)
        case (function, *operands):
            return FUNCTIONS[function](*alike(*map(value, operands)))
    raise AssertionError(tree)


def _beside(values: list[np.ndarray]) -> np.ndarray:
    """Multiply what stands side by side: scalars, and matrices that fit."""
    scalars = [value for value in values if value.ndim == 0]
    matrices = [value for value in values if value.ndim]
    result = product(matrices) if matrices else np.array(1.0)
    for scalar in scalars:
        result = result * scalar
    return result


def read_entry(
    tree: Tree, at: dict[str, int], arrays: dict[str, np.ndarray], sizes: dict[str, int]
) -> float:
    """Return the value of a formula in index form where its indices have the values `at`.

    A sum runs over the axis in which its index stands, as a reader takes it to.
    """

    def value(part: Tree) -> float:
        return read_entry(part, at, arrays, sizes)

    match tree:
        case ("one",):
            return 1.0
        case ("number", number):
            return number
        case ("name", name):
            return float(sizes[name] if name in sizes else arrays[name])
        case ("entry", name, places):
            return float(arrays[name][tuple(at[p] if p in at else int(p) for p in places)])
        case ("plus", *terms):
            return sum(map(value, terms))
        case ("minus", part):
            return -value(part)
        case ("beside", *factors):
            return float(np.prod([value(factor) for factor in factors]))
        case ("/", above, below):
            return value(above) / value(below)
        case ("^", base, exponent):
            return value(base) ** _exponent(exponent)
        case ("Σ", index, body):
            assert index not in at, f"{index} is summed over where it has a value"
            places = (at | {index: place} for place in range(_extent(index, body, arrays)))
            return sum(read_entry(body, place, arrays, sizes) for place in places)
        case ("where", relation, left, right, then, otherwise):
            return value(then if RELATIONS[relation](value(left), value(right)) else otherwise)
        case (function, *operands):
            return float(FUNCTIONS[function](*map(value, operands)))
    raise AssertionError(tree)


def _extent(index: str, tree: Tree, arrays: dict[str, np.ndarray]) -> int:
    """Return the length of the axes in which an index stands, which must agree."""
    found: set[int] = set()
    stack = [tree]
    while stack:
        part = stack.pop()
        if part[0] == "entry":
            axes = zip(part[2], arrays[part[1]].shape, strict=True)
            found |= {length for place, length in axes if place == index}
        else:
            stack += [child for child in part[1:] if isinstance(child, tuple)]
    (extent,) = found
    return extent


def _exponent(tree: Tree) -> float:
    match tree:
        case ("number", number):
            return number
        case ("/", ("number", above), ("number", below)):
            return above / below
        case ("/", ("one",), ("number", below)):
            return 1 / below
    raise ShapesDisagreeError(f"{tree} is no exponent")
