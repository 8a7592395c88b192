"""The questions that a student's file is asked, and its answers.

Everything here happens before anything is judged: the gradients that are expected are computed
when the file's process has ended. What the process is given of the right forward pass, as
input of `backward`, it gets after its own `forward` has answered for the same numbers.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grading.answers import (
    Answer,
    Call,
    Interview,
    Round,
    names_by_key,
    read_call,
)
from runtime.grading.initial import layout_of, settle, sizes_of_value
from runtime.grading.problem import (
    Layout,
    Trial,
    lab_outputs,
    layout_from_keys,
    make_trial,
    sizes_of,
)
from runtime.grading.selection import Selection
from runtime.grading.session import ChildError, Session
from runtime.grading.source import (
    Source,
    accepted,
    parameter_keys,
    required,
)
from runtime.grading.values import Failure, read_failure
from runtime.grading.ways_to_call import ways_to_call

Array = NDArray[Any]
OutputsOf = Callable[[int, Mapping[str, Array], Mapping[str, int]], Mapping[str, Array]]


# kind of the sizes, and the seed; the second of a kind has fresh numbers
PLAN = (
    ("a", 0),
    ("a", 1),
    ("b", 0),
    ("lab", 0),
    ("lab", 1),
    ("equal", 0),
    ("equal", 1),
    ("equal2", 0),
)


_ONE_CALL = 3.0  # seconds; the whole has a limit of its own


def hold_interview(
    source: Source,
    selection: Selection,
    *,
    hidden: tuple[str, ...],
    right_outputs: OutputsOf,
    session: Session,
) -> Interview:
    """Run what of a file is graded on every trial.

    Parameters
    ----------
    source, selection
        The file, and what of it is run.
    hidden
        Folders that its process does not see.
    right_outputs
        Returns what a right `forward` makes of a depth, inputs and sizes: `backward` is also
        asked for what follows from these.
    session
        The first process, which has begun; those after it share its time.
    """
    talk = _Talk(source, selection, session, hidden, right_outputs)
    try:
        talk.hold()
    finally:
        talk.end()
    return talk.found


class _Talk:
    """An interview while it is held; a process that dies is replaced, and the cause left out."""

    def __init__(
        self,
        source: Source,
        selection: Selection,
        session: Session,
        hidden: tuple[str, ...],
        right_outputs: OutputsOf,
    ) -> None:
        self.source = source
        self.selection = selection
        self.session: Session | None = session
        self.hidden = hidden
        self.right_outputs = right_outputs
        keys = parameter_keys(source)
        self.found = Interview(source=source, selection=selection, layout=layout_from_keys(keys))
        # so that the same file is asked the same, and no file can hold the answers
        digest = hashlib.sha256(source.text.encode("utf-8", "replace")).digest()
        self.salt = int.from_bytes(digest[:8], "little")
        self.asked = ""
        self.watching = False
        self.deadline = session.deadline
        self.strict = session.strict
        self.patience = max(_ONE_CALL, 0.6 * session.seconds)

    def end(self) -> None:
        if self.session is not None:
            self.session.end()
            self.session = None

    def hold(self) -> None:
        if not self._load():
            return
        self._guarded(self._learn_layout)
        for kind, seed in PLAN:
            sizes = self._sizes(kind)
            trial = make_trial(kind, sizes, seed, self.found.dtype, self.salt)
            self.watching = seed == 0
            self._guarded(lambda trial=trial: self._round(trial, self.found.layout))  # type: ignore[misc]
        own = self.found.own_layout
        if own is not None:
            for kind, seed in PLAN[:4]:
                sizes = self._sizes(kind)
                trial = make_trial(kind, sizes, seed, self.found.dtype, self.salt)
                self.watching = seed == 0
                self._guarded(lambda trial=trial: self._round(trial, own))  # type: ignore[misc]

    def _sizes(self, kind: str) -> dict[str, int]:
        fixed = self.found.fixed
        if fixed is None:
            return sizes_of(kind, self.found.layout.depth)
        return {**fixed, "B": {"a": 7, "b": 6, "lab": 10, "equal": 4, "equal2": 5}[kind]}

    def _start(self) -> bool:
        """Start another process, and load the file there; return whether that was possible."""
        left = self.deadline - time.monotonic()
        self.end()
        self.session = Session(
            seconds=max(left, 0.1),
            libraries=("torch",) if self.selection.uses_torch else (),
            hidden=self.hidden,
            source=self.source.text,
            statements=self.selection.statements,
            strict=self.strict,
        )
        return self._load()

    def _load(self) -> bool:
        """Wait until the file is loaded; return whether that was possible."""
        assert self.session is not None
        try:
            answer = self.session.wait()
            self.deadline = self.session.deadline
            if self.session.warning is not None and not self.found.warnings:
                self.found.warnings.append(self.session.warning)
        except ChildError as error:
            failure = Failure(error="", message=f"{error}, while it was loaded")
            self.found.dead = dict.fromkeys(self.selection.functions, failure) | self.found.dead
            self.end()
            return False
        failures = answer.body.get("failures")
        if isinstance(failures, list):
            self.found.failed_imports = [read_failure(entry) for entry in failures[:20]]
        return True

    def _guarded(self, ask: Callable[[], None]) -> None:
        """Ask, and once more without the function that ended the process, if one does."""
        for _ in range(len(self.selection.functions) + 1):
            if self.session is None:
                return
            try:
                ask()
            except ChildError as error:
                self.found.dead[self.asked] = Failure(error="", message=str(error))
                if time.monotonic() > self.deadline - 0.2:
                    self.end()
                    late = Failure(error="", message="was not run: the time for the file was up")
                    for name in self.selection.functions:
                        if name not in self.found.dead and not self._was_asked(name):
                            self.found.dead[name] = late
                    return
                self._start()
            else:
                return

    def _was_asked(self, name: str) -> bool:
        return any(name in r.calls for r in self.found.rounds)

    def call(
        self,
        function: str,
        arguments: list[Any],
        arrays: list[Array],
        *,
        keep: str = "",
    ) -> Call | None:
        """Call a function, unless it is missing or has ended a process before."""
        if function not in self.selection.functions or function in self.found.dead:
            return None
        assert self.session is not None
        self.asked = function
        body = {
            "do": "call",
            "function": function,
            "arguments": arguments,
            "keep": keep,
            "watch": self.watching,
        }
        frame = self.session.ask(body, arrays, within=self.patience)
        return read_call(frame.body, frame.arrays)

    def _learn_layout(self) -> None:
        """Call `init_params` at two sizes, and read off keys, shapes, dtype and kind."""
        function = self.selection.functions.get("init_params")
        self.found.kind = "torch" if self.selection.uses_torch else "numpy"
        self.found.dtype = "float32" if self.selection.uses_torch else "float64"
        if function is None:
            return
        self.found.initial = []
        for kind in ("a", "b"):
            best: tuple[dict[str, int], Call] | None = None
            for sizes, arguments in ways_to_call(function, kind, self.found.layout.depth):
                call = self.call("init_params", arguments, [])
                if call is None:
                    return
                layout = layout_of(call, sizes.get("nx"))
                if layout is not None and layout.depth + 1 != len(sizes) - 1:
                    sizes = sizes_of_value(call, layout, sizes)
                if best is None or layout is not None:
                    best = (sizes, call)
                if layout is not None:
                    break
            assert best is not None
            self.found.initial.append(best)
        settle(self.found, no_sizes=required(function) == 0 and not accepted(function))

    def _round(self, trial: Trial, layout: Layout) -> None:
        calls = dict(self._calls(trial, layout))
        self.found.rounds.append(Round(trial=trial, layout=layout, calls=calls))

    def _calls(self, trial: Trial, layout: Layout) -> Iterator[tuple[str, Call]]:
        parameters = self._by_key(trial.given, layout)
        slopes = self._by_key(trial.slopes, layout)
        outputs = self.right_outputs(layout.depth, trial.given, trial.sizes)
        both = dict(self._forward_and_loss(trial, parameters, outputs["yhat"]))
        yield from both.items()
        usable = "forward" in both and _keeps_outputs(both["forward"].value)
        if self.found.is_part_2:
            if usable:
                yield from self._backward_of_part_2(trial)
            # `sgd` is asked apart, on gradients that a loss of known slopes has left
            arguments, arrays = self._described([parameters, slopes])
            yield from self._steps_of_part_2(trial, arguments, arrays)
            return
        keys = {key: outputs[key] for key in lab_outputs(layout.depth)}
        yield from self._backward(trial, parameters, keys, usable=usable)
        arguments, arrays = self._described([parameters, slopes])
        arguments.append({"number": trial.rate})
        sgd = self.call("sgd", arguments, arrays)
        if sgd is not None:
            yield "sgd", sgd

    def _forward_and_loss(
        self, trial: Trial, parameters: Mapping[str, Array], yhat: Array
    ) -> Iterator[tuple[str, Call]]:
        """Ask `forward`, and only then `loss_accuracy`, of what a right `forward` gives."""
        arguments, arrays = self._described(
            [parameters, trial.given["X"]], tracked=self.found.is_part_2
        )
        forward = self.call("forward", arguments, arrays, keep="out")
        if forward is not None:
            yield "forward", forward
        arguments, arrays = self._described([yhat, trial.given["Y"]])
        loss = self.call("loss_accuracy", arguments, arrays)
        if loss is not None:
            yield "loss_accuracy", loss

    def _backward(
        self,
        trial: Trial,
        parameters: Mapping[str, Array],
        keys: Mapping[str, Array],
        *,
        usable: bool,
    ) -> Iterator[tuple[str, Call]]:
        """Ask `backward` with what the file's own `forward` kept, and with right outputs."""
        if usable:
            arguments, arrays = self._described([trial.given["Y"]])
            kept = [{"kept": "out.0"}, {"kept": "out", "item": 1}]
            backward = self.call("backward", [*kept, *arguments], arrays)
            if backward is not None:
                yield "backward", backward
        described, arrays = self._described([parameters, keys, trial.given["Y"]])
        if usable:
            described[1]["over"] = {"kept": "out", "item": 1}
        backward = self.call("backward", described, arrays)
        if backward is not None:
            yield "backward on right outputs", backward

    def _backward_of_part_2(self, trial: Trial) -> Iterator[tuple[str, Call]]:
        """Ask for what autograd makes of the loss of what `forward` returned."""
        arguments, arrays = self._described([trial.given["Y"]])
        first = {"kept": "out", "item": 0}
        loss = self.call("loss_accuracy", [first, *arguments], arrays, keep="loss")
        if loss is not None and not isinstance(loss.value, Failure):
            yield "slopes", self._autograd()

    def _autograd(self) -> Call:
        assert self.session is not None
        self.asked = "loss_accuracy"
        body = {"do": "slopes", "loss": "loss", "parameters": "out.0"}
        frame = self.session.ask(body, within=self.patience)
        return read_call(frame.body, frame.arrays)

    def _steps_of_part_2(
        self, trial: Trial, arguments: list[Any], arrays: list[Array]
    ) -> Iterator[tuple[str, Call]]:
        parameters, slopes = arguments
        by_key = dict(slopes["dict"])
        for _, entry in parameters["dict"]:
            entry["tracked"] = True
        for key, entry in parameters["dict"]:
            entry["slope"] = by_key[key]["array"]
        rate = {"number": trial.rate}
        first = self.call("sgd", [parameters, rate], arrays, keep="step")
        if first is None:
            return
        yield "sgd", first
        if isinstance(first.value, dict):
            again = {"kept": "step", "slopes": slopes}
            second = self.call("sgd", [again, rate], arrays)
            if second is not None:
                yield "second sgd", second

    def _by_key(self, arrays: Mapping[str, Array], layout: Layout) -> dict[str, Array]:
        return {key: layout.stored(key, arrays[name]) for key, name in names_by_key(layout).items()}

    def _described(
        self, arguments: list[Any], *, tracked: bool = False
    ) -> tuple[list[Any], list[Array]]:
        """Return arguments as the child builds them, and the arrays to which they refer."""
        arrays: list[Array] = []
        wide = "float32" if self.found.dtype == "bfloat16" else self.found.dtype

        def describe(argument: Any, *, leaf: bool) -> dict[str, Any]:
            if isinstance(argument, dict):
                inside = leaf or tracked
                return {"dict": [[k, describe(v, leaf=inside)] for k, v in argument.items()]}
            arrays.append(np.asarray(argument).astype(wide))
            return {
                "array": len(arrays) - 1,
                "kind": self.found.kind,
                "dtype": self.found.dtype,
                "tracked": tracked and leaf,
            }

        return [describe(argument, leaf=False) for argument in arguments], arrays


def _keeps_outputs(value: Answer) -> bool:
    return isinstance(value, list) and len(value) >= 2 and isinstance(value[1], dict)
