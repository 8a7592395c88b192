"""The verdict on a file: what is right, what is wrong, and why, as plain values."""

from dataclasses import dataclass, field
from typing import Any, final

HINTS = (0, 1, 2, 3)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that is said about a mistake.

    Attributes
    ----------
    kind
        A word for the mistake.
    look
        Where to look; hint 1.
    message
        The mistake, with its line; hint 2.
    formula
        The right formula, and the step of the derivation it comes from; hint 3.
    certain
        Whether nothing as simple of another kind gives the same numbers.
    line
        Of the file.
    shared
        The first gradient that the same mistake spoils, where this is another.
    """

    kind: str
    look: str
    message: str
    formula: str = ""
    certain: bool = True
    line: int | None = None
    shared: str = ""

    def at(self, hints: int) -> str:
        """Return what is said at a level of hints."""
        if hints < 2:
            return self.look if hints else ""
        return f"{self.message} {self.formula}".strip() if hints > 2 else self.message

    def to_json(self, hints: int) -> dict[str, Any]:
        """Return it as JSON: what hint 1 must not give away is null."""
        told = hints >= 2
        return {
            "kind": self.kind if told else None,
            "message": self.at(hints),
            "certain": self.certain,
            "line": self.line if told else None,
        }


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Of a function, or of one gradient.

    Attributes
    ----------
    status
        ``right``, ``wrong``, ``missing`` or ``error``.
    summary
        What is wrong, without why; hint 0.
    diagnosis
        Why, the likeliest first.
    relative_error
        Of a gradient, ``max|a-b| / max|b|``; None where that is no number.
    kind, line
        Of what `summary` says, where that is all there is to say: a word, and a line of the file.
    """

    status: str
    summary: str = ""
    diagnosis: tuple[Diagnosis, ...] = ()
    relative_error: float | None = None
    kind: str = ""
    line: int | None = None

    @property
    def reason(self) -> Diagnosis:
        """What `summary` says, in the place of a diagnosis."""
        return Diagnosis(
            kind=self.kind or self.status, look="", message=self.summary, line=self.line
        )

    def message(self, hints: int) -> str:
        """Return what is said at a level of hints."""
        said = [d.at(hints) for d in self.diagnosis if d.at(hints)]
        return " ".join(dict.fromkeys([self.summary, *said])).strip()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of a file.

    Attributes
    ----------
    name
        The file.
    functions
        A judgement for each function by name.
    gradients
        A judgement for each gradient by the parameter's key.
    warnings
        What is no mistake but should be known.
    """

    name: str
    functions: dict[str, Judgement]
    gradients: dict[str, Judgement] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all is right."""
        every = [*self.functions.values(), *self.gradients.values()]
        return bool(every) and all(judgement.status == "right" for judgement in every)

    def to_json(self, hints: int = 2) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "ok": self.ok,
            "functions": {
                name: {"status": j.status, "message": j.message(hints)}
                for name, j in self.functions.items()
            },
            "gradients": {
                name: {
                    "status": j.status,
                    "relative_error": j.relative_error,
                    "diagnosis": [d.to_json(hints) for d in j.diagnosis] if hints else [],
                }
                for name, j in self.gradients.items()
            },
            "warnings": list(self.warnings),
        }
