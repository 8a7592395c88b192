"""Which options stand on the command line, whatever their defaults."""

import click


def is_given(context: click.Context, name: str) -> bool:
    """Return whether an option, by its parameter's name, stands on the command line."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def has_value(context: click.Context, name: str) -> bool:
    """Return whether an option or argument stands there and is something, not None."""
    return is_given(context, name) and context.params.get(name) is not None
