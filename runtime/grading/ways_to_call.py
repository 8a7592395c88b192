"""How `init_params` may be called: the number of its arguments tells what they are."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from runtime.grading.problem import (
    sizes_of,
)
from runtime.grading.source import (
    accepted,
    argument_names,
    required,
)
from runtime.grading.values import Failure, Value

Array = NDArray[Any]
Answer = Value | Failure


def ways_to_call(
    function: Any, kind: str, depth: int
) -> Iterator[tuple[dict[str, int], list[Any]]]:
    """Return how `init_params` may be called, the likeliest first, with the sizes meant."""
    count = required(function)
    if count == 0 and accepted(function) >= 3:
        count = int(min(accepted(function), 3))
    names = argument_names(function)
    if count == 0:
        yield sizes_of(kind, depth), []
        return
    if count >= 2:
        sizes = sizes_of(kind, count - 1)
        numbers = [value for name, value in sizes.items() if name != "B"]
        yield sizes, [{"number": value} for value in numbers]
        listed = next((n for n, name in enumerate(names[:count]) if name[-1:] == "s"), None)
        if listed is not None and count == 3:
            sizes = sizes_of(kind, 3)
            first, *inner, last = [value for name, value in sizes.items() if name != "B"]
            middle = {"list": [{"number": value} for value in inner]}
            yield sizes, [{"number": first}, middle, {"number": last}]
    if count == 4:  # sizes of input, hidden layers and output, and how many hidden layers
        sizes = sizes_of(kind, 3)
        first, inner_, _, last = [value for name, value in sizes.items() if name != "B"]
        yield (
            {**sizes, "nh2": inner_},
            [{"number": v} for v in (first, inner_, last, 2)],
        )
    if count == 1:
        for layers in (max(depth, 2), 3):
            sizes = sizes_of(kind, layers)
            numbers = [value for name, value in sizes.items() if name != "B"]
            yield sizes, [{"list": [{"number": value} for value in numbers]}]
