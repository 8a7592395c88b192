"""The words of a formula, and every check that comes before a parser sees it.

A formula comes from outside, so nothing is taken for granted: Python's parser raises
MemoryError or RecursionError on deep input, folds look-alike letters into one another, and
takes far more than formulas. Here the text is looked at character by character, cut into
tokens by a closed list, counted, and its brackets, operands and operators are matched. What
is left is a formula, of bounded size and depth, that any parser reads in the same way.

Every loop below runs once over at most `LONGEST` characters, and none recurses.
"""

import keyword
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, final

from derive.errors import InputError

LONGEST = 10_000
MOST_NODES = 500
DEEPEST = 50
LONGEST_NUMBER = 400
"""Characters of one number; float64 holds 17 digits."""

Kind = Literal["number", "name", "operator", "comparison", "open", "close", "comma"]

_TOKEN = re.compile(
    r"""(?P<number>\.?[0-9](?:[eE][+-]|[0-9A-Za-z_.])*)  # whatever begins as one; judged later
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<foreign>//|:=|->|<<|>>|=(?!=)|[][{}%@&|~^.:;\\'"`\#?$]|!(?!=))
      | (?P<comparison><=|>=|==|!=|<|>)
      | (?P<operator>\*\*|[-+*/])
      | (?P<open>\() | (?P<close>\)) | (?P<comma>,)""",
    re.VERBOSE,
)
_DECIMAL = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

# what people write for what the language has
_CHARACTERS = {
    "×": "*", "·": "*", "∙": "*", "⋅": "*", "÷": "/", "∕": "/", "−": "-", "–": "-",
    "²": "**2", "³": "**3", "≤": "<=", "≥": ">=", "≠": "!=", "π": "pi", "√": "sqrt(…)",
}  # fmt: skip
_FOREIGN = {
    "//": "there is no floor division; write / for a quotient",
    "%": "there is no remainder",
    "@": "there is no matrix product; a formula is about one entry",
    "^": "write ** for a power",
    "=": "a formula assigns nothing; write == to compare, as the condition of where(c, a, b)",
    ":=": "a formula assigns nothing; use --define for a function of your own",
    "!": "write != to compare, as the condition of where(c, a, b)",
    "&": "nest one where in another to join conditions",
    "|": "nest one where in another to join conditions; abs(z) is the absolute value",
    "[": "there are no subscripts; a formula is about one entry",
    "]": "there are no subscripts; a formula is about one entry",
    ".": "there are no attributes; a number needs a digit beside its point",
    "#": "there are no comments",
    "'": "there is no text",
    '"': "there is no text",
}
_KEYWORDS = {
    "if": "write where(c, a, b)",
    "else": "write where(c, a, b)",
    "and": "nest one where in another",
    "or": "nest one where in another",
    "not": "exchange the branches of where(c, a, b)",
}
_OPERAND = "expected a number, a name or an opening bracket"
_LEVELS = {"+": 2, "-": 2, "*": 3, "/": 3, "**": 5}
_COMPARISON, _SIGN, _ATOM = 1, 4, 6


@final
@dataclass(frozen=True, slots=True)
class Source:
    """The text a formula is read from, and what to call it when it is refused."""

    text: str
    what: str = "formula"

    def refused(self, at: int, problem: str) -> InputError:
        """Return the error that says what is wrong, with a caret under the place."""
        start = max(0, at - 50)
        window = "".join(_shown(c) for c in self.text[start : start + 100])
        before = "…" if start else ""
        after = "…" if start + 100 < len(self.text) else ""
        caret = " " * (len(before) + at - start) + "^"
        return InputError(f"{self.what}: {problem}.\n  {before}{window}{after}\n  {caret}")


@final
@dataclass(frozen=True, slots=True)
class Token:
    """A word of a formula and where it begins."""

    kind: Kind
    text: str
    at: int


def tokens(source: Source, start: int = 0) -> list[Token]:
    """Return the words of a formula, once it is sure that they form one.

    Parameters
    ----------
    source
        The text. The formula begins at `start` and takes the rest.
    start
        Offset of its first character.

    Raises
    ------
    InputError
        If the text is too long, holds a character or a word that the language lacks, has
        more than `MOST_NODES` nodes or a depth of more than `DEEPEST`, or operands,
        operators and brackets do not match.
    """
    check_characters(source)
    found = []
    nodes = 0
    at = start
    while at < len(source.text):
        if source.text[at] == " ":
            at += 1
            continue
        match = _TOKEN.match(source.text, at)
        if match is None:  # cannot be: the list above covers printable ASCII
            raise source.refused(at, f"{quoted(source.text[at])} is not part of the language")
        text = match.group()
        _check_word(source, str(match.lastgroup), text, at)
        token = Token(match.lastgroup, text, at)  # type: ignore[arg-type]
        nodes += token.kind in ("number", "name", "operator", "comparison")
        if nodes > MOST_NODES:
            raise source.refused(
                at,
                f"more than {MOST_NODES} numbers, names and operators. Split the formula: "
                "give a part of it a name with --define",
            )
        found.append(token)
        at = match.end()
    _check_order(source, found)
    _check_depth(source, found)
    return found


def check_characters(source: Source) -> None:
    """Refuse text that is too long, or anything but printable ASCII."""
    text = source.text
    if len(text) > LONGEST:
        raise source.refused(LONGEST, f"{len(text):,} characters, at most {LONGEST:,} are read")
    if text.isascii() and text.isprintable():
        return
    at, character = next((i, c) for i, c in enumerate(text) if not " " <= c <= "~")
    name = unicodedata.name(character, "")
    problem = f"the character U+{ord(character):04X}{f' ({name.lower()})' if name else ''} "
    problem += "is not printable ASCII, which is all that formulas are written in"
    alike = _CHARACTERS.get(character) or unicodedata.normalize("NFKC", character)
    if alike != character and alike.isascii() and alike.isprintable():
        problem += f'. Write "{alike}"'
    raise source.refused(at, problem)


def check_name(source: Source, name: str, at: int) -> None:
    """Refuse a name that begins with an underscore, or means something to Python."""
    if name.startswith("_"):
        raise source.refused(
            at, f"{quoted(name)} begins with an underscore. A name begins with a letter"
        )
    if keyword.iskeyword(name):
        hint = _KEYWORDS.get(name, "a formula holds numbers, names, operators and functions")
        raise source.refused(at, f"{quoted(name)} is not part of the formula language: {hint}")


def quoted(text: str, longest: int = 40) -> str:
    """Return text between quotes, cut short if need be."""
    return f'"{text if len(text) <= longest else text[: longest - 1] + "…"}"'


def _shown(character: str) -> str:
    """Return the character if it takes one column and does nothing else, or a stand-in."""
    plain = character.isprintable() and not unicodedata.combining(character)
    plain = plain and unicodedata.east_asian_width(character) not in "FW"
    return character if plain else "\N{REPLACEMENT CHARACTER}"


def _check_word(source: Source, kind: str, text: str, at: int) -> None:
    if kind == "number":
        _check_number(source, text, at)
    elif kind == "foreign":
        hint = _FOREIGN.get(text, f"it has {' '.join(_LEVELS)}, brackets and functions")
        raise source.refused(at, f"{text} is not part of the formula language: {hint}")
    elif kind == "name":
        check_name(source, text, at)


def _check_number(source: Source, text: str, at: int) -> None:
    if len(text) > LONGEST_NUMBER:
        raise source.refused(
            at, f"a number of {len(text)} characters, at most {LONGEST_NUMBER} are read"
        )
    if not _DECIMAL.fullmatch(text):
        decimal = _DECIMAL.match(text)
        rest = text[decimal.end() :] if decimal else ""
        if decimal and decimal.group() == "0" and rest[0] in "xXoObB":
            hint = "Write it with decimal digits"
        elif decimal and rest[0] not in "_.jJ" and not keyword.iskeyword(rest):
            hint = f"Write {quoted(f'{decimal.group()}*{rest}')} for a product"
        else:
            hint = "Write it like 2, 0.5 or 1e-3"
        raise source.refused(at, f"{quoted(text)} is not a decimal number. {hint}")
    if text.isdigit() and len(text) > 1 and text.startswith("0"):
        hint = text.lstrip("0") or "0"
        raise source.refused(at, f"{quoted(text)} has a leading zero. Write {hint}")
    value = float(text)
    if math.isinf(value):
        raise source.refused(at, f"{quoted(text)} is too large: float64 ends at 1.8e308")
    if value == 0 and any(digit in "123456789" for digit in re.split("[eE]", text)[0]):
        raise source.refused(at, f"{quoted(text)} is too small: float64 ends at 4.9e-324")


def _check_order(source: Source, found: list[Token]) -> None:
    """Match operands, operators and brackets."""
    opened: list[tuple[Token, Token | None]] = []  # a bracket, and the function it calls
    before: Token | None = None
    operand_next = True
    for token in found:
        if operand_next:
            match token.kind:
                case "number" | "name":
                    operand_next = False
                case "open":
                    calls = before if before is not None and before.kind == "name" else None
                    opened.append((token, calls))
                case "operator" if token.text in "+-":
                    pass
                case "close" if opened and before is opened[-1][0] and opened[-1][1]:
                    name = opened[-1][1].text
                    raise source.refused(token.at, f"{name}() has no argument: {_OPERAND}")
                case _:
                    raise source.refused(token.at, f"{quoted(token.text)} here: {_OPERAND}")
        else:
            match token.kind:
                case "operator" | "comparison":
                    operand_next = True
                case "open" if before is not None and before.kind == "name":
                    opened.append((token, before))
                    operand_next = True
                case "number" | "name" | "open":
                    raise source.refused(
                        token.at,
                        f"an operator is missing before {quoted(token.text)}: "
                        f"expected one of {' '.join(_LEVELS)}, as in 2*z",
                    )
                case "comma":
                    if not opened or opened[-1][1] is None:
                        raise source.refused(
                            token.at, "a comma stands only between the arguments of a function"
                        )
                    operand_next = True
                case "close":
                    if not opened:
                        raise source.refused(token.at, "this bracket closes none. Take it out")
                    opened.pop()
        if len(opened) > DEEPEST:
            raise source.refused(token.at, f"more than {DEEPEST} brackets in one another")
        before = token
    end = len(source.text.rstrip())
    if operand_next:
        raise source.refused(end, f"the formula ends here: {_OPERAND}")
    if opened:
        raise source.refused(opened[-1][0].at, "this bracket is not closed. Expected )")


def _check_depth(source: Source, found: list[Token]) -> None:
    """Refuse a formula whose syntax tree is deeper than `DEEPEST`.

    Operator precedence on two stacks [1]_, with the depth of each operand in the place of
    its value. A chain of terms or of factors is one level, however long.

    References
    ----------
    .. [1] E. W. Dijkstra, "Algol 60 translation", MR 35, Mathematisch Centrum, 1961.
    """
    operands: list[tuple[int, int]] = []  # depth, and level of the operator at its root
    waiting: list[tuple[int, Token]] = []  # level, operator; 0 for a bracket

    def settle(level: int) -> None:
        while waiting and waiting[-1][0] >= level:
            own, token = waiting.pop()
            depth, _ = operands.pop()
            if own != _SIGN:
                left, root = operands.pop()
                chain = root == own and own in (2, 3)
                depth = max(depth, left - 1 if chain else left)
            push(depth + 1, own, token)

    def push(depth: int, level: int, token: Token) -> None:
        if depth > DEEPEST:
            raise source.refused(
                token.at,
                f"the formula is more than {DEEPEST} levels deep here. "
                "Split it: give a part of it a name with --define",
            )
        operands.append((depth, level))

    finished: list[int] = []  # for each open bracket, the depth of the arguments before a comma
    before: Token | None = None
    for token in found:
        match token.kind:
            case "number" | "name":
                push(0, _ATOM, token)
            case "open":
                call = before is not None and before.kind == "name"
                if call:
                    operands.pop()  # that was the function's name
                waiting.append((0, before if before is not None and call else token))
                finished.append(0)
            case "comma":
                settle(_COMPARISON)
                finished[-1] = max(finished[-1], operands.pop()[0])
            case "close":
                settle(_COMPARISON)
                depth = max(finished.pop(), operands.pop()[0])
                _, bracket = waiting.pop()
                push(depth + (bracket.kind == "name"), _ATOM, bracket)
            case "comparison":
                settle(_COMPARISON)
                waiting.append((_COMPARISON, token))
            case "operator" if before is None or before.kind not in ("number", "name", "close"):
                waiting.append((_SIGN, token))
            case "operator":
                level = _LEVELS[token.text]
                settle(_ATOM if token.text == "**" else level)  # powers group to the right
                waiting.append((level, token))
        before = token
    settle(_COMPARISON)
