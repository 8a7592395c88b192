"""Attempts at claims: timed, and given up in words where a rung has no means."""

from collections.abc import Callable, Iterable
from time import perf_counter

from derive.proof.claim import Claim, Status
from derive.proof.reach import OutOfReachError

Verdict = tuple[Status, str]

_MOST_LISTED = 16


def attempt(
    judge: Callable[[], Verdict], *, claim: str, method: str, rung: str, about: str, sizes: str = ""
) -> Claim:
    """Return the claim with the verdict of `judge` and the time that it took."""
    start = perf_counter()
    try:
        status, reason = judge()
    except OutOfReachError as error:
        status, reason = "not attempted", str(error)
    return Claim(
        claim=claim,
        method=method,
        status=status,
        rung=rung,
        about=about,
        sizes=sizes,
        reason=reason,
        seconds=perf_counter() - start,
    )


def left_out(rung: str, names: Iterable[str], reason: str) -> Claim:
    """Return the claim that a rung does not attempt for the whole programme."""
    about = listed(list(names))
    claim = f"{about}: {rung}"
    return Claim(
        claim=claim,
        method="none",
        status="not attempted",
        rung=rung,
        about=about,
        reason=reason,
    )


def listed(names: list[str]) -> str:
    """Return names with commas; of many, the first and the last, and how many."""
    if len(names) <= _MOST_LISTED:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, …, {names[-1]} ({len(names)} in all)"
