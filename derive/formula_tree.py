"""What a formula is once it is read: a closed set of nodes, and how they are written.

``parse_formula(print_formula(f)) == f`` for every formula f; where a node stood in the text
(``at``) is for messages, and does not count when formulas are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import assert_never, final

from derive.errors import InternalError
from derive.formula_tokens import Source


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number that is not negative and has a finite decimal form, exactly."""

    value: Fraction
    at: int = field(default=0, compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A variable, or ``pi``."""

    name: str
    at: int = field(default=0, compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Negative:
    """``-operand``."""

    operand: "Node"
    at: int = field(default=0, compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """``left operator right``, where the operator is one of ``+ - * / **``."""

    operator: str
    left: "Node"
    right: "Node"
    at: int = field(default=0, compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``left operator right``, the first argument of ``where`` and nothing else."""

    operator: str
    left: "Node"
    right: "Node"
    at: int = field(default=0, compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``function(arguments)``; ``sum`` and functions of the user's own are among them."""

    function: str
    arguments: tuple["Node", ...]
    at: int = field(default=0, compare=False, repr=False)


Node = Number | Name | Negative | Binary | Comparison | Call


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A formula that was read, and the definitions that it calls.

    Attributes
    ----------
    root
        Its syntax tree.
    definitions
        Every function of the user's own that it calls, in the order of their definition.
    source
        The text it was read from, to which the nodes' ``at`` refers.
    """

    root: Node
    definitions: tuple["Definition", ...] = ()
    source: Source = field(default=Source(""), compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that occur, sorted; ``pi`` is none."""
        return tuple(sorted({n.name for n in walk(self.root) if isinstance(n, Name)} - {"pi"}))

    def __str__(self) -> str:
        return print_formula(self)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A function of one argument: ``mish(z) = z*tanh(log(1 + exp(z)))``."""

    name: str
    parameter: str
    formula: Formula

    def __str__(self) -> str:
        return f"{self.name}({self.parameter}) = {self.formula}"


def walk(node: Node) -> Iterator[Node]:
    """Return the node and everything in it, outermost first."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def children(node: Node) -> tuple[Node, ...]:
    """Return what a node is made of, from left to right."""
    match node:
        case Number() | Name():
            return ()
        case Negative():
            return (node.operand,)
        case Binary() | Comparison():
            return (node.left, node.right)
        case Call():
            return node.arguments
        case _:
            assert_never(node)


def chain(node: Binary) -> tuple[Node, list[Binary]]:
    """Return the first operand of ``a + b*c - d …``, and its operators from left to right.

    What a chain of operators needs no recursion for: it may be hundreds long.
    """
    links = [node]
    while isinstance(first := links[-1].left, Binary) and first.operator != "**":
        links.append(first)
    return first, links[::-1]


_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(6)
_LEVELS = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER}


def print_formula(formula: Formula | Node) -> str:
    """Write a formula as `derive.formula.parse_formula` reads it, with no needless bracket."""
    return _written(formula.root if isinstance(formula, Formula) else formula)[0]


def _written(node: Node) -> tuple[str, int]:
    """Return the text of a node and how strongly it holds together."""
    match node:
        case Number():
            return _decimal(node.value), _ATOM
        case Name():
            return node.name, _ATOM
        case Negative():
            return "-" + _bracketed(node.operand, _SIGN), _SIGN
        case Binary(operator="**"):
            base, exponent = _bracketed(node.left, _ATOM), _bracketed(node.right, _POWER)
            return f"{base}**{exponent}", _POWER
        case Binary():
            first, links = chain(node)
            text, held = _written(first)
            for link in links:
                level = _LEVELS[link.operator]
                sign = f" {link.operator} " if level == _SUM else link.operator
                right = _bracketed(link.right, level + 1)
                if right.startswith("-"):  # legal, and hard to read
                    right = f"({right})"
                text, held = f"{text if held >= level else f'({text})'}{sign}{right}", level
            return text, held
        case Comparison():
            left, right = _bracketed(node.left, _SUM), _bracketed(node.right, _SUM)
            return f"{left} {node.operator} {right}", _COMPARISON
        case Call():
            return f"{node.function}({', '.join(_written(a)[0] for a in node.arguments)})", _ATOM
        case _:
            assert_never(node)


def _bracketed(node: Node, least: int) -> str:
    text, level = _written(node)
    return text if level >= least else f"({text})"


def _decimal(value: Fraction) -> str:
    """Write a number exactly: digits if they are few, else with an exponent."""
    digits, exponent, rest = value.numerator, 0, value.denominator
    while rest % 10 == 0:
        rest, exponent = rest // 10, exponent - 1
    for prime, other in ((2, 5), (5, 2)):
        while rest % prime == 0:
            rest, digits, exponent = rest // prime, digits * other, exponent - 1
    if rest != 1 or value < 0:
        raise InternalError(f"{value} has no finite decimal form without a sign")
    while digits and digits % 10 == 0:
        digits, exponent = digits // 10, exponent + 1
    text = str(digits)
    if 0 <= exponent <= 6:
        return text + "0" * exponent
    if 0 < -exponent <= len(text) + 3 and exponent < 0:
        text = text.rjust(1 - exponent, "0")
        return f"{text[:exponent]}.{text[exponent:]}"
    return f"{text}e{exponent}"
