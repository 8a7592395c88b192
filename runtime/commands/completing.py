"""What a shell may offer after a TAB, for arguments and options that are not a click.Choice.

Each is given to click as ``shell_complete``. They run while somebody waits for the next key, so
they load nothing but what the command's ``--help`` loads.
"""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from derive.spec import ACTIVATION_NAMES, LOSSES

Items = list[CompletionItem]
Completer = Callable[[click.Context, click.Parameter, str], Items]


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Offer the files there are; the shell looks for them itself."""
    del context, parameter
    return [CompletionItem(incomplete, type="file")]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Offer the folders there are."""
    del context, parameter
    return [CompletionItem(incomplete, type="dir")]


def one_of(*names: str) -> Completer:
    """Offer these names."""
    return lambda _context, _parameter, incomplete: _beginning(names, incomplete)


def several_of(*names: str) -> Completer:
    """Offer these names after each comma, but for those that stand before it."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
        del context, parameter
        done, comma, _ = incomplete.rpartition(",")
        left = [name for name in names if name not in done.split(",")]
        return _beginning([f"{done}{comma}{name}" for name in left], incomplete)

    return complete


def data(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Offer the sets that are known by name, and files."""
    from runtime.data.catalogue import SETS

    return _beginning(SETS, incomplete) + files(context, parameter, incomplete)


def network(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Offer activations after a colon, those of ``--define`` too; else the set's own network."""
    from runtime.data.catalogue import SETS

    del parameter
    before, colon, _ = incomplete.rpartition(":")
    if not colon:
        known = SETS.get(context.params.get("data") or "")
        return _beginning([known.spec or ""] if known else [], incomplete)
    own = [text.partition("(")[0].strip() for text in context.params.get("define") or ()]
    return _beginning([f"{before}:{name}" for name in (*ACTIVATION_NAMES, *own)], incomplete)


def target(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Offer what is timed: a set, or the activations of a network."""
    return _beginning(("circles", "mnist"), incomplete) + network(context, parameter, incomplete)


loss = one_of(*LOSSES)


def _beginning(names: Iterable[str], incomplete: str) -> Items:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
