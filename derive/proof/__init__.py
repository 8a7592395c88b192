"""Proofs that a gradient programme is right, in rungs that grow in reach.

Each rung is a function from a gradient programme to claims. `LADDER` is their order.
"""

from derive.program import Program
from derive.proof.claim import Claim
from derive.proof.local import local_proof
from derive.proof.whole import whole_proof

LADDER = (
    local_proof,  # every statement by itself: linear in depth
    whole_proof,  # everything at once, for what is small: does not trust the chain rule
)


def prove(program: Program) -> tuple[Claim, ...]:
    """Return the claims of every rung about a gradient programme, in order.

    Sizes that are names are given small numbers that differ; so to prove a large network,
    prove the programme of the same network with names for sizes.
    """
    return tuple(claim for rung in LADDER for claim in rung(program))


__all__ = ["LADDER", "Claim", "local_proof", "prove", "whole_proof"]
