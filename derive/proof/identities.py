"""The identities behind the forms that are computed, as claims."""

from time import perf_counter

from derive.errors import InternalError
from derive.program import Program
from derive.proof.claim import Claim, Status
from derive.stable import prove_identities, stable_program

RUNG = "identities"
_METHOD = "exact: both sides expanded by SymPy, their difference is 0"


def identity_proof(program: Program) -> tuple[Claim, ...]:
    """Prove the identities that the form that is computed rests on, one claim each.

    None where that form is the programme itself.
    """
    start = perf_counter()
    try:
        names = prove_identities()
        steps = stable_program(program).steps
    except InternalError as error:
        return (_claim("the identities of stable forms", "not proved", str(error), start),)
    if not any(step.rule == "stable form" for step in steps):
        return ()
    start += (perf_counter() - start) * (1 - 1 / len(names))  # the time of all is shared out
    return tuple(_claim(name, "proved", "", start) for name in names)


def _claim(name: str, status: Status, reason: str, start: float) -> Claim:
    return Claim(
        claim=f"identity: {name}",
        method=_METHOD,
        status=status,
        rung=RUNG,
        about=name,
        reason=reason,
        seconds=perf_counter() - start,
    )
