"""What a proof returns: a sentence, how it was shown, and whether it holds."""

from dataclasses import dataclass
from typing import Literal, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that was to be shown.

    Attributes
    ----------
    claim
        A sentence.
    method
        How it was shown, with the sizes.
    holds
        Whether it was shown. A proof that fails has not shown the opposite.
    """

    claim: str
    method: str
    holds: bool

    @property
    def status(self) -> Literal["proved", "not proved"]:
        """The outcome in words."""
        return "proved" if self.holds else "not proved"

    def to_json(self) -> dict[str, str]:
        """Return the claim as one entry of ``proof`` in JSON."""
        return {"claim": self.claim, "method": self.method, "status": self.status}

    def __str__(self) -> str:
        """Write the claim in a line."""
        return f"{self.status}: {self.claim} ({self.method})"
