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
before Python's parser sees it, and the tree that it gives is read node by node into a few
kinds of our own (`derive.formula_reader`); whatever else it may hold is refused. SymPy is not
needed to read a formula: `derive.formula_sympy` turns one into an expression.
"""

import ast
import re
from collections.abc import Collection, Iterable, Mapping

from derive.errors import InternalError
from derive.formula_constants import FUNCTIONS, check_constants
from derive.formula_reader import Reader
from derive.formula_size import check_written_out
from derive.formula_tokens import Source, Token, check_characters, check_name, quoted, tokens
from derive.formula_tree import Call, Definition, Formula, walk

WITH_A_MEANING = frozenset({*FUNCTIONS, "where", "sum", "pi"})


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
    reader = Reader(
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
