"""Any depth: the ladder for the base case and for the induction step, and the induction itself.

The output layer with the loss is a gradient programme, and a hidden layer, whose number is a
symbol, is one whose output's cotangent is given. The ladder judges both as any other
programme. That they make up the gradient of every depth is induction; what it needs of the
definitions is compared with them, and so are the depths that were unrolled.
"""

from dataclasses import replace
from time import perf_counter

from derive.errors import InternalError
from derive.proof import identities
from derive.proof.attempt import Verdict, attempt
from derive.proof.certificate import Certificate
from derive.proof.claim import Claim
from derive.proof.ladder import prove
from derive.recurrence import Recurrence, Unrolling

BASE, STEP = "base case", "induction step"


def prove_recurrence(recurrence: Recurrence) -> Certificate:
    """Climb the ladder for both programmes of a recurrence, and prove its induction.

    Parameters
    ----------
    recurrence
        The result of `derive.layer_recurrence`.

    Returns
    -------
    Certificate
        The claims of the ladder, ``base case`` or ``induction step`` before each rung; those
        of identities once; one that the induction holds, and one for each depth unrolled.
    """
    start = perf_counter()
    parts = {BASE: prove(recurrence.output), STEP: prove(recurrence.layer)}
    claims: list[Claim] = []
    shared: dict[str, Claim] = {}
    for part, found in parts.items():
        for claim in found.claims:
            if claim.rung == identities.RUNG:
                shared.setdefault(claim.about, claim)
            else:
                claims.append(replace(claim, rung=f"{part}, {claim.rung}"))
    unrolled = map(_unrolled, recurrence.unrollings)
    assumptions = (assumption for found in parts.values() for assumption in found.assumptions)
    return Certificate(
        claims=(*claims, *shared.values(), _induction(recurrence), *unrolled),
        assumptions=tuple(dict.fromkeys(assumptions)),
        seconds=perf_counter() - start,
    )


def _induction(recurrence: Recurrence) -> Claim:
    def judge() -> Verdict:
        try:
            recurrence.check_induction()
        except InternalError as error:
            return "not proved", str(error)
        return "proved", ""

    return attempt(
        judge,
        claim="a layer is read by the next alone, and the output's Z is defined like any other",
        method="exact: what each definition reads, and one definition compared with the other",
        rung="induction",
        about="every layer",
    )


def _unrolled(unrolling: Unrolling) -> Claim:
    def judge() -> Verdict:
        if unrolling.holds:
            return "proved", ""
        return "failed", f"{', '.join(unrolling.different)} differs"

    return attempt(
        judge,
        claim=f"unrolled at N = {unrolling.hidden} it is the derivation of {unrolling.network}",
        method="exact: equal, statement for statement, to the derivation of the network by itself",
        rung="unrolled",
        about=f"N = {unrolling.hidden}",
    )
