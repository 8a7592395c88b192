"""``%load_ext runtime.notebook``: derive, train and grade in a notebook.

    %derive 2-10-2 --steps           the gradients as formulas, as gradwright derive
    %train circles --epochs 300      training, with a picture of the decision that keeps up
    %%grade --hints 3                grades the cell, as gradwright grade does a file

What stands behind these names is parsed as on a command line and never evaluated: no variable
in braces or behind ``$`` is put into it. `LiveDecision` is the picture by itself, for
``runtime.train(..., watch=LiveDecision())``.
"""

import inspect
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click

from runtime.cell_source import cell_source, in_the_cell
from runtime.errors import GradwrightError, InputError

if TYPE_CHECKING:
    from derive.network_derivation import Derivation
    from derive.recurrence import Recurrence
    from runtime.result import TrainResult

_CELL = "this cell"
_MISSING = "IPython is not installed. Install it with: pip install 'gradwright[notebook]'"


def load_ipython_extension(shell: Any) -> None:
    """Define the magics in a shell of IPython; ``%load_ext`` calls this."""
    no_var_expand = _ipython("IPython.core.magic").no_var_expand
    for name, (kind, function) in MAGICS.items():
        told = _in_one_line(function)
        told.__doc__ = _help_of(name)
        shell.register_magic_function(no_var_expand(told), kind, name)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A derivation as a notebook shows it: formulas in TeX, with what is said of them.

    Attributes
    ----------
    result
        The derivation itself.
    form, steps, expand
        How it is told, as in ``gradwright derive``.
    """

    result: "Derivation | Recurrence"
    form: str
    steps: bool
    expand: bool

    def __repr__(self) -> str:
        return self._told("text").rstrip("\n")

    def _repr_markdown_(self) -> str:
        return self._told("markdown")

    def _repr_latex_(self) -> str:
        return self.result._repr_latex_()

    def _told(self, format_: str) -> str:
        from runtime.commands.derive import told

        return told(self.result, format_, form=self.form, steps=self.steps, expand=self.expand)


@final
class LiveDecision:
    """A picture in a cell's output that follows a run: ``runtime.train(..., watch=...)``.

    It is the decision over the plane where inputs are two numbers and targets classes, the
    fitted curve for real targets, and the learning curves for all else.

    Raises
    ------
    InputError
        If IPython is not installed.

    Examples
    --------
    >>> import runtime
    >>> from runtime.notebook import LiveDecision
    >>> result = runtime.train("circles", epochs=150, watch=LiveDecision())  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._display = _ipython("IPython.display").display
        self._handle: Any = None
        self.shown = 0  # pictures so far

    def __call__(self, result: "TrainResult") -> None:
        """Show the result so far in the place of what was shown before."""
        from runtime.run_pictures import picture_names

        names = picture_names(result)
        if "decision" in names:
            picture = result.plot_decision()
        elif "regression" in names:
            picture = result.plot_regression()
        elif result.history.epochs:
            picture = result.plot()
        else:
            return  # there are no curves before the first epoch
        self.shown += 1
        if self._handle is None:
            self._handle = self._display(picture, display_id=True)
        else:
            self._handle.update(picture)


def derive_magic(line: str) -> Shown | None:
    """``%derive SPEC``."""
    from runtime.commands.derive import command, derived
    from runtime.commands.given import is_given
    from runtime.commands.objective import reader

    context = _parsed(command, "%derive", line)
    given = context.params
    is_text = any(is_given(context, name) for name in ("format_", "output", "explain_stability"))
    if is_text:
        with context:
            command.invoke(context)
        return None
    result = derived(
        given["spec"],
        reader(given["loss"], given["define"], given["l2"]),
        **{name: given[name] for name in ("labels", "names", "hvp", "expand", "prove")},
    )
    return Shown(result=result, **{name: given[name] for name in ("form", "steps", "expand")})


def train_magic(line: str) -> "TrainResult":
    """``%train DATA [SPEC]``."""
    from runtime.training import train

    params = _parsed(_train_command(), "%train", line).params
    given = {name: value for name, value in params.items() if value is not None}
    if "data" not in given:
        raise InputError("%train: which data? Name a set or a file, for example %train circles.")
    if not given.pop("live"):
        return train(given.pop("data"), **given)
    return train(given.pop("data"), **given, watch=LiveDecision(), progress=False)


def grade_magic(line: str, cell: str) -> None:
    """``%%grade``."""
    shell = _ipython("IPython").get_ipython()
    given = _parsed(_grade_command(), "%%grade", line).params
    try:
        grade = import_module("runtime.grading.grader").grade
        verdict_text = import_module("runtime.grading.report").verdict_text
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("runtime.grading"):
            raise
        raise InputError("this version of gradwright has no grader.") from None
    text = cell_source(cell, shell.user_ns.get("In", [])[:-1])  # the last one is this cell
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.py"
        path.write_text(text, encoding="utf-8")
        try:
            verdict = grade(path, timeout=given["timeout"])
        except GradwrightError as error:
            raise type(error)(str(error).replace(str(path), _CELL)) from error
    report = verdict_text(_of_the_cell(verdict), given["hints"])
    click.echo(in_the_cell(report, cell))
    if given["run"]:
        shell.run_cell(cell)


MAGICS: dict[str, tuple[str, Callable[..., Any]]] = {
    "derive": ("line", derive_magic),
    "train": ("line", train_magic),
    "grade": ("cell", grade_magic),
}


def _of_the_cell(verdict: Any) -> Any:
    """Return a verdict without the functions that are still to be written in later cells."""
    written = {name: j for name, j in verdict.functions.items() if j.status != "missing"}
    lacks_backward = "backward" in verdict.functions and "backward" not in written
    gradients = {} if lacks_backward else verdict.gradients
    return replace(verdict, name=_CELL, functions=written, gradients=gradients)


def _ipython(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "IPython":
            raise
        raise InputError(_MISSING) from None


def _in_one_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a magic that tells a user's mistake in a line, without a traceback."""
    usage_error = _ipython("IPython.core.error").UsageError

    def magic(line: str, *cell: str) -> Any:
        try:
            return function(line, *cell)
        except click.exceptions.Exit:  # after --help
            return None
        except click.ClickException as error:
            raise usage_error(error.format_message()) from None
        except GradwrightError as error:
            raise usage_error(str(error)) from None

    return magic


def _parsed(command: click.Command, name: str, line: str) -> click.Context:
    """Parse the rest of a magic's line by the options of a command."""
    try:
        words = shlex.split(line)
    except ValueError as error:  # a quotation that does not end
        raise InputError(f"{name}: {line}: {error}. Close it.") from None
    return command.make_context(name, words)


def _train_command() -> click.Command:
    """Return a command with those options of ``gradwright train`` that `train` knows, too."""
    from runtime.commands.train import command
    from runtime.training import train

    known = inspect.signature(train).parameters.keys() - {"resume"}
    options = [option for option in command.params if option.name in known]
    options.append(
        click.Option(
            ["--live/--no-live"],
            default=True,
            show_default=True,
            help="Show a picture that keeps up with the training.",
        )
    )
    return click.Command(
        "%train", params=options, help="Train a network; the value is the result of the run."
    )


def _grade_command() -> click.Command:
    return click.Command(
        "%%grade",
        params=[
            click.Option(
                ["--hints"],
                type=click.IntRange(0, 3),
                default=2,
                show_default=True,
                help="How much is told, as in gradwright grade.",
            ),
            click.Option(
                ["--timeout"],
                type=click.FloatRange(0.5, 3600),
                default=10.0,
                show_default=True,
                metavar="S",
                help="Seconds for all runs of the cell together.",
            ),
            click.Option(["--run"], is_flag=True, help="Run the cell here as well, afterwards."),
        ],
        help="Grade the cell, in a process of its own, with what earlier cells import and define.",
    )


def _help_of(name: str) -> str:
    sign = "%%" if MAGICS[name][0] == "cell" else "%"
    return f"{sign}{name} --help tells its options; none of its arguments is evaluated."
