"""What a proof cannot say anything about, told apart from what it finds wrong."""

from derive.errors import InternalError


class OutOfReachError(InternalError):
    """Something that a rung of the ladder has no means for; the claim is not attempted."""
