"""What a proof returns: sentences, how each was shown, and whether it holds."""

from dataclasses import dataclass, field
from typing import Any, Literal, final

Status = Literal["proved", "checked", "not proved", "failed", "not attempted"]

_HOLDS: tuple[Status, ...] = ("proved", "checked")
_FAILS: tuple[Status, ...] = ("not proved", "failed")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that was to be shown.

    Attributes
    ----------
    claim
        A sentence.
    method
        How it was shown.
    status
        ``proved``: by exact algebra. ``checked``: up to chance or rounding, within
        `error_bound`. ``not proved``: exact algebra did not see it, which does not show the
        opposite. ``failed``: a check found the opposite. ``not attempted``: for `reason`.
    rung
        The rung of the ladder that it belongs to.
    about
        The statement or identity that it is about, in a word.
    sizes
        The numbers that stood for sizes, such as ``B = 2, n0 = 3``.
    reason
        Why it was not attempted, or where it fails.
    error_bound
        What a check leaves open: the chance that it passes by luck, or its largest tolerance.
    seconds
        How long it took.
    """

    claim: str
    method: str
    status: Status
    rung: str
    about: str
    sizes: str = ""
    reason: str = ""
    error_bound: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def holds(self) -> bool:
        """Whether it was shown."""
        return self.status in _HOLDS

    @property
    def fails(self) -> bool:
        """Whether it was tried and not shown."""
        return self.status in _FAILS

    def to_json(self) -> dict[str, Any]:
        """Return the claim as one entry of ``proof`` in JSON."""
        entry: dict[str, Any] = {
            "claim": self.claim,
            "method": ", ".join(filter(None, (self.method, self.sizes))),
            "status": self.status,
            "rung": self.rung,
            "about": self.about,
            "seconds": round(self.seconds, 4),
        }
        if self.reason:
            entry["reason"] = self.reason
        if self.error_bound is not None:
            entry["error_bound"] = self.error_bound
        return entry

    def __str__(self) -> str:
        """Write the claim in a line."""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.status}: {self.claim} ({self.method}){reason}"
