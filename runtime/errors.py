"""The project's errors, under the name that this package's modules import."""

from derive.errors import GradwrightError, InputError, InternalError, RunError

__all__ = ["GradwrightError", "InputError", "InternalError", "RunError"]
