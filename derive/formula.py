"""Formulas that a user writes: a small language for activations and losses.

    z*tanh(log(1 + exp(z)))                  an activation, in the name its definition gives
    -sum(Y*(1 - P)**2*log(P))                a loss, in P, Y and Z

Grammar, for formulas in printable ASCII of at most 10,000 characters, 500 numbers, names and
operators, and 50 levels; spaces may stand between words::

    definition = name "(" name ")" "=" expression
    expression = term { ( "+" | "-" ) term }
    term       = factor { ( "*" | "/" ) factor }
    factor     = ( "+" | "-" ) factor | power
    power      = atom [ "**" factor ]                    groups to the right: 2**3**2 = 2**9
    atom       = number | "pi" | name | "(" expression ")"
               | function "(" expression { "," expression } ")"
               | "where" "(" condition "," expression "," expression ")"
               | "sum" "(" expression ")"                in a loss, not inside another
    condition  = expression ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) expression
    function   = "exp" | "log" | "log1p" | "expm1" | "sqrt" | "tanh" | "sin" | "cos" | "tan"
               | "atan" | "sinh" | "cosh" | "erf" | "abs" | "sign" | "sigmoid"
               | "max" | "min"                           these two take two arguments
               | an activation, or a function defined before
    number     = decimal digits, with a point or an exponent or both: 2, 0.5, 1e-3
    name       = a letter, then letters, digits and "_"

Meaning. Numbers are exact (0.5 is one half). ``exp`` is e to a power, ``log`` the natural
logarithm, ``log1p(z) = log(1 + z)``, ``expm1(z) = exp(z) - 1``, ``sign`` is -1, 0 or 1, and
``sigmoid(z) = 1/(1 + exp(-z))``. ``where(c, a, b)`` is a where c holds and b elsewhere; the
branch that is not taken contributes nothing, to the value or to a slope, even if it is not
a number there. In a loss, ``P``, ``Y`` and ``Z`` are entries, and ``sum(...)`` adds over them.
At kinks the slope is the one that the field has settled on: ``abs`` and ``sign`` have slope
0 at 0, and ``max`` and ``min`` give one half to each argument at a tie.

What is constant is computed in float64 when the formula is read: it must be real and finite,
no divisor may be 0, and constant exponents lie in [-1000, 1000].

Nothing is ever evaluated as Python. The text is checked word by word (`derive.formula_tokens`)
before Python's parser sees it, and the tree that it gives is read node by node into the few
kinds below; whatever else it may hold is refused. SymPy is not needed to read a formula:
`derive.formula_sympy` turns one into an expression.
"""

import ast
import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from derive.errors import InputError, InternalError
from derive.formula_constants import FUNCTIONS, check_constants
from derive.formula_size import check_written_out
from derive.formula_tokens import Source, Token, check_characters, check_name, quoted, tokens
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Definition,
    Formula,
    Name,
    Negative,
    Node,
    Number,
    walk,
)

WITH_A_MEANING = frozenset({*FUNCTIONS, "where", "sum", "pi"})

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


def parse_formula(
    text: str,
    *,
    names: Collection[str],
    definitions: Iterable[Definition] = (),
    activations: Collection[str] = (),
    allow_sum: bool = False,
    what: str = "formula",
) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text
        For example ``"z*tanh(log(1+exp(z)))"``.
    names
        Variables that it may use. With `allow_sum` they stand inside of ``sum(...)`` only.
    definitions
        Functions of the user's own that it may call.
    activations
        Further functions of one argument that it may call, whoever gives them a meaning.
    allow_sum
        Whether ``sum(...)`` may stand in it, as in a loss.
    what
        What the text is, for messages: ``"--loss"``.

    Raises
    ------
    InputError
        If it is not of the language. The message has a line with a caret under the place.
    """
    return _read(
        Source(text, what),
        start=0,
        names=names,
        known={definition.name: definition for definition in definitions},
        activations=activations,
        allow_sum=allow_sum,
    )


def parse_definition(
    text: str,
    *,
    definitions: Iterable[Definition] = (),
    activations: Collection[str] = (),
    reserved: Collection[str] = (),
    what: str = "--define",
) -> Definition:
    """Read the definition of a function: ``"mish(z) = z*tanh(log(1+exp(z)))"``.

    Parameters
    ----------
    text
        The definition.
    definitions
        Those that came before; it may call them.
    activations
        Built-in functions of one argument that it may call.
    reserved
        Further names that it may not take, such as those of activations of a whole row.
    what
        What the text is, for messages.

    Raises
    ------
    InputError
        If it is not of the language, the name is taken, or the value does not depend on
        the argument.
    """
    source = Source(text, what)
    check_characters(source)
    known = {definition.name: definition for definition in definitions}
    name, parameter, start = _read_head(source)
    _check_new_name(source, name, {*known}, {*activations, *reserved})
    check_name(source, parameter.text, parameter.at)
    if parameter.text in WITH_A_MEANING:
        raise source.refused(parameter.at, f'"{parameter.text}" has a meaning. Call it z')
    formula = _read(
        source,
        start=start,
        names=(parameter.text,),
        known=known,
        activations=activations,
        allow_sum=False,
    )
    if not formula.names:
        problem = f"{name.text} does not depend on {parameter.text}, so its slope is 0 everywhere"
        raise source.refused(formula.root.at, problem)
    return Definition(name=name.text, parameter=parameter.text, formula=formula)


_HEAD = (
    (re.compile(r" *"), r"[A-Za-z_][A-Za-z0-9_]*", "a name for the function"),
    (re.compile(r" *"), r"\(", "("),
    (re.compile(r" *"), r"[A-Za-z_][A-Za-z0-9_]*", "a name for its argument, such as z"),
    (re.compile(r" *"), r"\)", "), since a function has one argument"),
    (re.compile(r" *"), r"=(?!=)", "= and the formula"),
)


def _read_head(source: Source) -> tuple[Token, Token, int]:
    """Return the name, the parameter, and where the formula begins."""
    at, words = 0, []
    for spaces, pattern, expected in _HEAD:
        at = spaces.match(source.text, at).end()  # type: ignore[union-attr]
        word = re.compile(pattern).match(source.text, at)
        if word is None:
            raise source.refused(
                at, f'expected {expected}, as in "mish(z) = z*tanh(log(1 + exp(z)))"'
            )
        words.append(Token("name", word.group(), at))
        at = word.end()
    return words[0], words[2], at


def _check_new_name(
    source: Source, name: Token, own: Collection[str], built_in: Collection[str]
) -> None:
    check_name(source, name.text, name.at)
    if name.text in own:
        problem = "is defined already"
    elif name.text in WITH_A_MEANING:
        problem = "is a word of the formula language"
    elif name.text in built_in:
        problem = "is built in"
    else:
        return
    raise source.refused(name.at, f'"{name.text}" {problem}. Take another name')


def _read(
    source: Source,
    *,
    start: int,
    names: Collection[str],
    known: Mapping[str, Definition],
    activations: Collection[str],
    allow_sum: bool,
) -> Formula:
    tokens(source, start)  # now it is sure that the text is a formula, and a small one
    body = source.text[start:]
    try:
        tree = ast.parse(body.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InternalError(f"{source.what}: {quoted(body, 200)} was checked; {error}") from error
    reader = _Reader(
        source=source,
        shift=start + len(body) - len(body.lstrip()),
        names=names,
        known=known,
        activations=activations,
        allow_sum=allow_sum,
    )
    root = reader.read(tree, summed=not allow_sum)
    called = {node.function for node in walk(root) if isinstance(node, Call)}
    for name in called & set(known):
        called |= {inner.name for inner in known[name].formula.definitions}
    formula = Formula(
        root=root,
        definitions=tuple(known[name] for name in known if name in called),
        source=source,
    )
    check_written_out(formula)
    check_constants(formula)
    return formula


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
class _Reader:
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
        return self.source.refused(
            at, f"the {what} {quoted(name)} is not known.{hint} Known: {', '.join(known)}"
        )
