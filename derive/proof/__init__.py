"""Proofs that a gradient programme is right, in rungs that grow in reach.

Each rung is a function from a gradient programme to claims. `LADDER` is their order.
"""

from derive.proof.along import along_check, along_proof
from derive.proof.any_depth import prove_recurrence
from derive.proof.certificate import Certificate
from derive.proof.claim import Claim
from derive.proof.ladder import LADDER, prove, prove_network
from derive.proof.local import local_proof
from derive.proof.modular import modular_check
from derive.proof.numeric import numeric_check
from derive.proof.whole import whole_proof

__all__ = [
    "LADDER",
    "Certificate",
    "Claim",
    "along_check",
    "along_proof",
    "local_proof",
    "modular_check",
    "numeric_check",
    "prove",
    "prove_network",
    "prove_recurrence",
    "whole_proof",
]
