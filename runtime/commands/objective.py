"""The options that say what is minimised; they mean the same in every command."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import click

from runtime.commands.completing import loss

if TYPE_CHECKING:
    from derive.spec import NetworkSpec

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--loss",
        metavar="NAME|FORMULA",
        shell_complete=loss,
        help="Loss of one sample; the mean over the batch is taken: cross-entropy, "
        "binary-cross-entropy, mse, mae, huber, hinge, or a formula in P (output), Y (target) "
        "and Z (before the output's activation), such as '-sum(Y*(1-P)**2*log(P))'. "
        "[cross-entropy]",
    ),
    click.option(
        "--define",
        multiple=True,
        metavar="FORMULA",
        help="An activation of your own, such as 'mish(z) = z*tanh(log(1+exp(z)))'. May be "
        "repeated; each may call those before it.",
    ),
    click.option(
        "--l2",
        type=float,
        metavar="F",
        help="Add F/2 times the sum of the squares of the weights to the loss. [0]",
    ),
    click.option(
        "--labels",
        type=click.Choice(["one-hot", "any"]),
        default="one-hot",
        show_default=True,
        help="one-hot: every row of Y sums to 1, which is used where it helps.",
    ),
)


def objective_options(command: Command) -> Command:
    """Add ``--loss``, ``--define``, ``--l2`` and ``--labels`` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def reader(
    loss: str | None, define: tuple[str, ...], l2: float | None
) -> "Callable[[str], NetworkSpec]":
    """Return what reads a network's text in the light of these options."""
    from derive.spec import DEFAULT_LOSS, parse_spec

    return partial(
        parse_spec, loss=DEFAULT_LOSS if loss is None else loss, define=define, l2=l2 or 0.0
    )
