"""The options that say what a step does with the gradients."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from codegen.optimizers import METHODS, OPTIONS, SCHEDULES

if TYPE_CHECKING:
    from runtime.settings import Settings

Command = TypeVar("Command", bound=Callable[..., object])


def method_option(default: str | None, text: str) -> Callable[[Command], Command]:
    """Return the option ``--optimizer``."""
    return click.option(
        "--optimizer",
        type=click.Choice(list(METHODS)),
        default=default,
        show_default=default is not None,
        help=text,
    )


schedule_option = click.option(
    "--schedule",
    type=click.Choice(list(SCHEDULES)),
    default="constant",
    show_default=True,
    help="Course of the learning rate: a tenth after each third of the epochs, or by a cosine "
    "to 0 at the end.",
)


def optimizer_options(command: Command) -> Command:
    """Add ``--optimizer``, its numbers and ``--schedule`` to a command that trains."""
    options = [
        method_option("sgd", "What a step does; adam-sklearn has eps where scikit-learn has it."),
        *(
            click.option(
                f"--{name.replace('_', '-')}",
                type=float,
                metavar="F",
                help=f"{option.meaning} [{_default(name)}]",
            )
            for name, option in OPTIONS.items()
        ),
        schedule_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _default(name: str) -> str:
    """Return whose option it is, and its default."""
    default = OPTIONS[name].default
    users = [
        method
        for method, described in METHODS.items()
        if any(name in line for line in described.formulas)
    ]
    if default is None:
        return "no limit"
    return f"{', '.join(users)}: {default:g}" if users else f"{default:g}"


def optimizer_text(settings: "Settings") -> str:
    """Return what is told of a run's optimiser, nothing for plain gradient descent."""
    words = [] if settings.optimizer == "sgd" else [settings.optimizer]
    numbers = {name: getattr(settings, name) for name in OPTIONS}
    words += [f"{name} {value:g}" for name, value in numbers.items() if value]
    words += [] if settings.schedule == "constant" else [f"{settings.schedule} schedule"]
    return "".join(f", {word}" for word in words)
