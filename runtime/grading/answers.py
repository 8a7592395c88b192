"""What a student's file was asked, and what came of it."""

from dataclasses import dataclass, field
from typing import Any, final

from numpy.typing import NDArray

from runtime.grading.problem import (
    Layout,
    Trial,
    lab_parameters,
)
from runtime.grading.selection import Selection
from runtime.grading.session import ChildError
from runtime.grading.source import (
    Source,
    required,
)
from runtime.grading.values import Failure, Given, Value, read_failure, read_value

Array = NDArray[Any]
Answer = Value | Failure


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call and what came of it.

    Attributes
    ----------
    value
        What it returned, or how it failed.
    arguments
        What its arguments hold afterwards.
    lines
        What the lines of the file set meanwhile: line, name and numbers, in order.
    """

    value: Answer
    arguments: list[Value] = field(default_factory=list)
    lines: list[tuple[int, str, Array]] = field(default_factory=list)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """All that was asked at one trial.

    Attributes
    ----------
    trial
        The inputs.
    layout
        How parameters were given.
    calls
        ``forward``, ``loss_accuracy``, ``backward`` (with the file's own outputs),
        ``backward on right outputs``, ``sgd``, and of Part 2 ``slopes`` and ``second sgd``.
    """

    trial: Trial
    layout: Layout
    calls: dict[str, Call]


@final
@dataclass(kw_only=True)
class Interview:
    """What is known of a file when its process has ended.

    Attributes
    ----------
    source, selection
        The file, and what of it was run.
    layout
        How its network's parameters are named; in the lab's shapes.
    own_layout
        How its `init_params` stores them, if that is otherwise and consistent.
    dtype, kind
        What its parameters are: ``float32``, ``torch``.
    initial
        The calls of `init_params`, with the sizes they were given.
    rounds
        The trials.
    failed_imports
        What could not be run, with its line.
    dead
        Functions that ended or held up their process, and how.
    warnings
        For whoever grades.
    """

    source: Source
    selection: Selection
    layout: Layout
    own_layout: Layout | None = None
    dtype: str = "float64"
    kind: str = "numpy"
    initial: list[tuple[dict[str, int], Call]] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    failed_imports: list[Failure] = field(default_factory=list)
    dead: dict[str, Failure] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    fixed: dict[str, int] | None = None

    @property
    def is_part_2(self) -> bool:
        """Whether there is no `backward`, and `sgd` takes two arguments."""
        functions = self.selection.functions
        sgd = functions.get("sgd")
        return "backward" not in functions and sgd is not None and required(sgd) == 2


def names_by_key(layout: Layout) -> dict[str, str]:
    """Return the lab's name of each parameter by the file's key."""
    pairs = zip(layout.weights, layout.biases, lab_parameters(layout.depth), strict=True)
    found: dict[str, str] = {}
    for weight, bias, (lab_weight, lab_bias) in pairs:
        found[weight] = lab_weight
        if bias:
            found[bias] = lab_bias
    return found


def shapes_of(value: Answer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of a dictionary by key; empty for anything else."""
    if not isinstance(value, dict):
        return {}
    return {key: entry.array.shape for key, entry in value.items() if isinstance(entry, Given)}


def read_call(body: Any, arrays: tuple[Array, ...]) -> Call:
    """Return what a process answered to a call.

    Raises
    ------
    ChildError
        If it is no answer.
    """
    if not isinstance(body, dict):
        raise ChildError("sent what is no answer")
    lines = _lines_of(body.get("lines", []), arrays)
    if "error" in body:
        return Call(value=read_failure(body["error"]), lines=lines)
    after = body.get("arguments", [])
    return Call(
        value=read_value(body.get("value"), arrays),
        arguments=[read_value(a, arrays) for a in after] if isinstance(after, list) else [],
        lines=lines,
    )


def _lines_of(records: Any, arrays: tuple[Array, ...]) -> list[tuple[int, str, Array]]:
    if not isinstance(records, list):
        return []
    found: list[tuple[int, str, Array]] = []
    for record in records[:1000]:
        match record:
            case [int() as line, str() as name, description]:
                value = read_value(description, arrays)
                if isinstance(value, Given):
                    found.append((line, name, value.array))
            case _:
                continue
    return found
