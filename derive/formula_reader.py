"""From Python's syntax tree to the nodes of a formula, by a closed list.

What the list does not hold is refused, even if the check of the tokens let it through.
"""

import ast
import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from derive.errors import InputError
from derive.formula_constants import FUNCTIONS
from derive.formula_tokens import Source, quoted
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Definition,
    Name,
    Negative,
    Node,
    Number,
)

# what other languages call it
_ELSEWHERE = {
    "ln": 'Did you mean "log"?',
    "log2": "Write log(z)/log(2).",
    "log10": "Write log(z)/log(10).",
    "pow": "Write ** for a power.",
    "square": "Write z**2.",
    "arctan": 'Did you mean "atan"?',
    "fabs": 'Did you mean "abs"?',
    "maximum": 'Did you mean "max"?',
    "minimum": 'Did you mean "min"?',
    "relu": "Write where(z > 0, z, 0).",
    "softplus": "Write log(1 + exp(z)).",
    "mean": "Write sum(...)/sum(1).",
    "e": "Write exp(1).",
    "Pi": 'Did you mean "pi"?',
    "PI": 'Did you mean "pi"?',
}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """From Python's syntax tree to ours; what is not listed is refused.

    Attributes
    ----------
    shift
        Offset in the source of the text that Python parsed.
    """

    source: Source
    shift: int
    names: Collection[str]
    known: Mapping[str, Definition]
    activations: Collection[str]
    allow_sum: bool

    def read(self, node: ast.expr, *, summed: bool) -> Node:
        """Return our form of a node; `summed` says whether variables have a meaning there."""
        at = self.shift + node.col_offset
        match node:
            case ast.Constant(value=int() | float()):
                text = self.source.text[at : self.shift + (node.end_col_offset or 0)]
                return Number(value=Fraction(text), at=at)
            case ast.Name(id=name):
                return self._name(name, at, summed=summed)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.read(node.operand, summed=summed)
            case ast.UnaryOp(op=ast.USub()):
                return Negative(operand=self.read(node.operand, summed=summed), at=at)
            case ast.BinOp() if type(node.op) in _OPERATORS:
                return self._chain(node, summed=summed)
            case ast.Compare():
                raise self.source.refused(
                    at, "a comparison stands only as the condition of where(c, a, b)"
                )
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments, at, summed=summed)
            case _:
                raise self.source.refused(
                    at, f"{type(node).__name__} is not part of the formula language"
                )

    def _chain(self, node: ast.BinOp, *, summed: bool) -> Node:
        links = [node]  # a chain of operators may be hundreds long: no recursion to the left
        while isinstance(links[-1].left, ast.BinOp) and type(links[-1].left.op) in _OPERATORS:
            links.append(links[-1].left)
        result = self.read(links[-1].left, summed=summed)
        for link in reversed(links):
            result = Binary(
                operator=_OPERATORS[type(link.op)],
                left=result,
                right=self.read(link.right, summed=summed),
                at=self.shift + link.col_offset,
            )
        return result

    def _name(self, name: str, at: int, *, summed: bool) -> Node:
        if name == "pi":
            return Name(name=name, at=at)
        if self._is_function(name):
            raise self.source.refused(at, f'"{name}" is a function. Write {name}(...)')
        if name not in self.names:
            raise self._unknown("name", name, at, [*self.names, "pi"])
        if not summed:
            raise self.source.refused(
                at, f'"{name}" has a value for each output. Write it inside of sum(...)'
            )
        return Name(name=name, at=at)

    def _call(self, name: str, arguments: list[ast.expr], at: int, *, summed: bool) -> Node:
        if name in self.names or name == "pi":
            raise self.source.refused(at, f'"{name}" is not a function. Write {name}*(...)')
        if not self._is_function(name):
            functions = [*FUNCTIONS, "where", *(["sum"] if self.allow_sum else [])]
            functions += [*self.activations, *self.known]
            raise self._unknown("function", name, at, functions)
        if name == "sum":
            if not self.allow_sum:
                raise self.source.refused(
                    at, "sum(...) stands only in a loss; this formula is about one entry"
                )
            if summed:
                raise self.source.refused(at, "one sum stands inside another. Take it out")
            summed = True
        arity = 3 if name == "where" else FUNCTIONS[name].arity if name in FUNCTIONS else 1
        if len(arguments) != arity:
            expected = {1: "one argument", 2: "two arguments", 3: "a condition and two values"}
            raise self.source.refused(
                at, f"{name} takes {expected[arity]}; given: {len(arguments)}"
            )
        condition: tuple[Node, ...] = ()
        if name == "where":
            condition = (self._condition(arguments[0], summed=summed),)
            arguments = arguments[1:]
        values = tuple(self.read(argument, summed=summed) for argument in arguments)
        return Call(function=name, arguments=condition + values, at=at)

    def _condition(self, node: ast.expr, *, summed: bool) -> Comparison:
        at = self.shift + node.col_offset
        if not isinstance(node, ast.Compare):
            raise self.source.refused(
                at, "the condition of where must be a comparison, as in where(z > 0, z, 0)"
            )
        if len(node.ops) > 1:
            second = self.shift + (node.comparators[0].end_col_offset or 0)
            while self.source.text[second] in " )":
                second += 1
            raise self.source.refused(
                second, "one comparison is enough here. Nest one where in another to join two"
            )
        return Comparison(
            operator=_COMPARISONS[type(node.ops[0])],
            left=self.read(node.left, summed=summed),
            right=self.read(node.comparators[0], summed=summed),
            at=at,
        )

    def _is_function(self, name: str) -> bool:
        return (
            name in FUNCTIONS
            or name in ("where", "sum")
            or name in self.known
            or name in self.activations
        )

    def _unknown(self, what: str, name: str, at: int, known: list[str]) -> InputError:
        swapped = [word for word in known if sorted(word) == sorted(name)]
        close = swapped or difflib.get_close_matches(name[:40], known, n=1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        hint = f" {_ELSEWHERE[name]}" if name in _ELSEWHERE else hint
        names = ", ".join(dict.fromkeys(known))  # a function may be an activation too
        return self.source.refused(
            at, f"the {what} {quoted(name)} is not known.{hint} Known: {names}"
        )
