"""Kernel values as source text, with one table of operator precedence.

What an expression uses twice is given a name first, so that it is computed once and the
line that uses it reads like the formula.
"""

from collections.abc import Callable, Sequence

from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    Load,
    Negative,
    Select,
    Value,
    parts,
    rebuild,
)

_PRECEDENCE = {"select": 0, "+": 2, "-": 2, "*": 3, "/": 3, "negative": 4, "atom": 5}

Place = Callable[[Load], str]


def text(value: Value, place: Place, *, lanes: bool = False) -> str:
    """Return the source of a value; `place` writes a load.

    With `lanes`, a selection is a call of ``where``: a vector is not true or false.
    """
    return _text(_with_where(value) if lanes else value, place, 0)


def _with_where(value: Value) -> Value:
    inner = tuple(_with_where(part) for part in parts(value))
    if isinstance(value, Select):
        left, right, then, otherwise = inner
        return Call("where", (Call(value.op, (left, right)), then, otherwise))
    return rebuild(value, inner)


def tuple_text(names: Sequence[str]) -> str:
    """Return names as a tuple without parentheses, to be unpacked or given back."""
    return f"{names[0]}," if len(names) == 1 else ", ".join(names)


def constant(number: float) -> str:
    """Return a number of the module's own type, exactly."""
    return f"T({int(number)})" if float(number).is_integer() else f"T({number!r})"


def _text(value: Value, place: Place, outer: int) -> str:
    match value:
        case Const(value=number):
            return constant(number)
        case Argument(name=name):
            return name
        case Load():
            return place(value)
        case Binary(op=op, left=left, right=right):
            own = _PRECEDENCE[op]
            # a - (b + c) and a / (b * c) keep their parentheses
            written = f"{_text(left, place, own)} {op} {_text(right, place, own + 1)}"
        case Negative(value=inner):
            own = _PRECEDENCE["negative"]
            written = f"-{_text(inner, place, own)}"
        case Call(function="<" | "<=" | ">" | ">=" | "==" | "!=" as op, arguments=(left, right)):
            return f"{_text(left, place, 1)} {op} {_text(right, place, 1)}"
        case Call(function=function, arguments=arguments):
            own = _PRECEDENCE["atom"]
            written = f"{function}({', '.join(_text(a, place, 0) for a in arguments)})"
        case Select(op=op, left=left, right=right, then=then, otherwise=otherwise):
            own = _PRECEDENCE["select"]
            test = f"{_text(left, place, 1)} {op} {_text(right, place, 1)}"
            written = f"{_text(then, place, 1)} if {test} else {_text(otherwise, place, 0)}"
        case _:
            raise InternalError(f"{value} cannot be emitted")
    return f"({written})" if own < outer else written


def named_parts(value: Value, prefix: str) -> tuple[list[tuple[str, Value]], Value]:
    """Return names for the parts that occur more than once, and the value in them.

    The parts come in an order in which each uses only names given before.
    """
    names: list[tuple[str, Value]] = []
    while (repeated := _smallest_repeated(value)) is not None:
        name = f"{prefix}{len(names) + 1}"
        names.append((name, repeated))
        value = _replaced(value, repeated, Argument(name))
    return names, value


def _smallest_repeated(value: Value) -> Value | None:
    counts: dict[Value, int] = {}

    def count(part: Value) -> None:
        for inner in parts(part):
            count(inner)
        if parts(part):
            counts[part] = counts.get(part, 0) + 1

    count(value)
    return next((part for part, times in counts.items() if times > 1), None)


def _replaced(value: Value, old: Value, new: Value) -> Value:
    if value == old:
        return new
    return rebuild(value, tuple(_replaced(part, old, new) for part in parts(value)))
