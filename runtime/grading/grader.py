"""``grade``: a student's file in, a verdict out."""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.files import shown
from runtime.grading.selection import FUNCTIONS, has_part_2, select
from runtime.grading.session import Session, hidden_folders
from runtime.grading.source import read_source
from runtime.grading.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from runtime.grading.answers import Interview, Round
    from runtime.grading.bench import Bench
    from runtime.grading.judge_forward import ForwardCheck

Array = NDArray[Any]

DEFAULT_TIMEOUT = 10.0  # seconds for all runs of a file together
_OTHER_ACTIVATIONS = ("relu", "sigmoid")


def grade(path: str | Path, *, timeout: float = DEFAULT_TIMEOUT, strict: bool = False) -> Verdict:
    r"""Grade a file in the lab's form.

    Only its imports, constants and definitions are run, in a process of its own that is
    limited and, where the system allows it, isolated.

    Parameters
    ----------
    path
        A ``.py`` file or a notebook.
    timeout
        Seconds for all runs of the file together.
    strict
        Whether to run nothing of it on a system that does not filter what its process asks of
        the kernel (`runtime.grading.system_calls`).

    Raises
    ------
    InputError
        If it cannot be read, is not Python, or defines none of the lab's functions; if there is no
        time to run it in; or if this system has no limits to run it under.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mine.py"
    ...     _ = file.write_text("def sgd(params, grads, eta):\n    return params\n")
    ...     print(grade(file).functions["sgd"].diagnosis[0].message)
    In Wh, bh, Wy and by, it is not changed (line 2).
    """
    if not 0 < timeout < math.inf:
        raise InputError(f"timeout: {timeout}. Expected a number of seconds, such as 10.")
    if find_spec("resource") is None:
        raise InputError(
            "this system holds no process to limits, and a file is not run without. Grade under "
            "Linux or macOS; in Windows' subsystem for Linux, for example."
        )
    path = Path(path)
    source = read_source(path)
    selection = select(source)
    if not selection.functions:
        raise InputError(
            f"{shown(path)}: defines none of the lab's functions: {', '.join(FUNCTIONS)}."
        )
    selections = [selection]
    if has_part_2(source):
        selections.append(select(source, part=2))
    hidden = hidden_folders(path)
    sessions = [
        Session(
            seconds=timeout,
            hidden=hidden,
            source=source.text,
            statements=chosen.statements,
            libraries=("torch",) if chosen.uses_torch else (),
            strict=strict,
        )
        for chosen in selections
    ]
    try:
        # while the file's process starts: this loads SymPy, and derives the lab's network
        from runtime.grading.interview import hold_interview
        from runtime.grading.reference import reference

        reference(2)
        interviews = [
            hold_interview(
                source, chosen, hidden=hidden, right_outputs=_right_outputs, session=session
            )
            for chosen, session in zip(selections, sessions, strict=True)
        ]
    finally:
        for session in sessions:
            session.end()
    # every process has ended: only now does anybody compute what is right
    verdicts = [_judged(_bench(interview), shown(path)) for interview in interviews]
    return verdicts[0] if len(verdicts) == 1 else _both_parts(*verdicts)


def _bench(interview: "Interview") -> "Bench":
    """Return where an interview is judged, once its process has ended."""
    from runtime.grading.bench import Bench
    from runtime.grading.reference import reference

    warnings = list(interview.warnings)
    for failure in interview.failed_imports:
        place = f"{interview.source.place(failure.line)}: " if failure.line else ""
        warnings.append(f"{place}left out, since it {failure}.")
    right = reference(interview.layout.depth)
    return Bench(
        interview=interview, right=right, asked=right, activation="tanh", warnings=warnings
    )


def _both_parts(first: Verdict, second: Verdict) -> Verdict:
    """Return the verdict on a file that holds Part 1 and Part 2: a function is right in both."""
    functions = dict(first.functions)
    for name, judgement in second.functions.items():
        if judgement.status == "right":
            continue
        before = functions[name]
        summary = f"In Part 2: {judgement.summary}"
        if before.status != "right":
            summary = f"{before.summary} {summary}"
        functions[name] = Judgement(
            status=judgement.status if before.status == "right" else before.status,
            summary=summary,
            diagnosis=(*before.diagnosis, *judgement.diagnosis),
            kind=before.kind or judgement.kind,
            line=before.line if before.kind else judgement.line,
        )
    gradients = dict(first.gradients)
    for name, judgement in second.gradients.items():
        if judgement.status != "right" and gradients.get(name, judgement).status == "right":
            gradients[name] = judgement
    return Verdict(
        name=first.name,
        functions=functions,
        gradients=gradients,
        warnings=tuple(dict.fromkeys((*first.warnings, *second.warnings))),
    )


def _right_outputs(
    depth: int, given: Mapping[str, Array], sizes: Mapping[str, int]
) -> Mapping[str, Array]:
    from runtime.grading.reference import forward_values, reference

    values = forward_values(reference(depth), given, sizes)
    return {name: np.asarray(value) for name, value in values.items()}


def _judged(bench: "Bench", name: str) -> Verdict:
    from runtime.grading.judge_backward import judge_backward
    from runtime.grading.judge_forward import cut_off, judge_forward
    from runtime.grading.judge_init import (
        initial_warnings,
        judge_init,
        with_cause,
        without_untracked,
    )
    from runtime.grading.judge_loss import judge_loss
    from runtime.grading.judge_sgd import judge_sgd

    interview = bench.interview
    own = False
    rounds, forward = bench.rounds(), None
    if interview.own_layout is not None:
        own_rounds = bench.rounds(own_layout=True)
        own_forward = judge_forward(bench, own_rounds, explained=False)
        if own_forward.is_right:
            rounds, forward, own = own_rounds, own_forward, True
    if forward is None:
        forward = judge_forward(bench, rounds)
    if not forward.is_right and interview.layout.depth > 2:
        forward = _with_other_activation(bench, rounds, forward)
    part_2 = interview.is_part_2
    asked = "slopes" if part_2 else "backward"
    if not forward.is_right and not part_2:
        asked = "backward on right outputs"
    backward, gradients = judge_backward(bench, rounds, asked)
    if own and backward.status != "right" and not part_2:
        # a file that is right in its own layout is right; one that is not is held to the lab's
        lab_rounds = bench.rounds()
        lab = judge_backward(bench, lab_rounds, "backward on right outputs")
        if lab[0].status == "right":
            (backward, gradients), own = lab, False
    functions: dict[str, Judgement] = {
        "init_params": judge_init(bench, own_layout=own),
        "forward": forward.judgement,
        "loss_accuracy": judge_loss(bench, rounds),
    }
    if not part_2:
        functions["backward"] = backward
    else:
        gradients = with_cause(functions, without_untracked(bench, gradients))
        functions |= cut_off(rounds, functions, gradients)
    functions["sgd"] = judge_sgd(bench, rounds)
    bench.warnings.extend(initial_warnings(interview))
    return Verdict(
        name=name,
        functions=functions,
        gradients=gradients,
        warnings=tuple(dict.fromkeys(bench.warnings)),
    )


def _with_other_activation(
    bench: "Bench", rounds: "list[Round]", forward: "ForwardCheck"
) -> "ForwardCheck":
    """Return the check of a deeper network whose hidden layers are consistently others.

    The lab's tanh is given for its own network; who builds a deeper one may choose.
    """
    from runtime.grading.bench import Bench
    from runtime.grading.judge_forward import judge_forward
    from runtime.grading.reference import reference

    for activation in _OTHER_ACTIVATIONS:
        right = reference(bench.interview.layout.depth, hidden=activation)
        other = Bench(
            interview=bench.interview,
            right=right,
            asked=bench.asked,
            activation=activation,
            warnings=bench.warnings,
        )
        found = judge_forward(other, rounds, explained=False)
        if found.is_right:
            bench.right, bench.activation = right, activation
            bench.forget()
            bench.warnings.append(
                f"The hidden layers use {activation}, where the lab has tanh; graded as that."
            )
            return found
    return forward
