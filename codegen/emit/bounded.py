"""Functions that are computed up to a bound, in loops that must have no branch.

LLVM makes vectors of a loop whose body has no branch and calls nothing. So a loop computes
``near_sin``, and notes whether any number was beyond the bound; only then is everything that
the node stores computed once more, number by number, by ``sin`` itself::

    beyond = False
    for i in samples:
        H1[j, i] = near_sin(Z1[j, i])
        beyond |= abs(Z1[j, i]) > T(2048)
    if beyond:
        for i in samples:
            H1[j, i] = sin(Z1[j, i])
"""

from collections.abc import Iterator
from dataclasses import replace

from codegen.approximation import BOUNDED, elementary_function
from codegen.emit.values import Place, constant, text
from codegen.kernel import Call, Dtype, Elementwise, Value, parts, rebuild

_NEAR = "near_"


def near(node: Elementwise) -> Elementwise:
    """Return a node with functions that are right up to their bounds; itself if it has none."""
    return replace(node, stores=tuple(replace(s, value=_near(s.value)) for s in node.stores))


def _near(value: Value) -> Value:
    inner = tuple(_near(part) for part in parts(value))
    if isinstance(value, Call) and value.function in BOUNDED:
        return Call(_NEAR + value.function, inner)
    return rebuild(value, inner)


def tests(value: Value, place: Place, dtype: Dtype) -> list[str]:
    """Return the lines that note whether a call in a value of `near` is beyond its bound."""
    lines = (
        f"beyond |= abs({text(argument, place)}) > {constant(bound)}"
        for argument, bound in _arguments(value, dtype)
    )
    return list(dict.fromkeys(lines))


def _arguments(value: Value, dtype: Dtype) -> Iterator[tuple[Value, float]]:
    for part in parts(value):
        yield from _arguments(part, dtype)
    if isinstance(value, Call) and value.function.startswith(_NEAR):
        own = elementary_function(value.function.removeprefix(_NEAR), dtype)
        yield value.arguments[0], own.bound
