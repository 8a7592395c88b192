"""The errors that this project raises: one small hierarchy.

Whoever catches one needs to know a single thing, who has to act: the user
(`InputError`, `RunError`) or we (`InternalError`). A message names what is wrong, where,
what was expected, and a way out.
"""


class GradwrightError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_status = 70


class InputError(GradwrightError, ValueError):
    """Something the user gave cannot be used.

    Usual causes: a misspelt activation, a size of zero, a file that is not there or not
    what it should be, an option out of range. Nothing was started and nothing was written.
    """

    exit_status = 2


class RunError(GradwrightError):
    """Work began and could not be finished, or its result is wrong.

    Usual causes: a check that failed, training that diverged, a disk that filled up.
    """

    exit_status = 1


class InternalError(GradwrightError):
    """A mistake of ours: an invariant does not hold.

    The message holds what is needed to report it. There is nothing the user can mend.
    """

    exit_status = 70
