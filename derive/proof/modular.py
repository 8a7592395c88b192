"""Rung 3: any depth, by exact arithmetic modulo a prime at a random point.

The slopes of the loss along random directions, by forward tangents (`Tangents`), must equal
the products of the programme's gradients with these directions. It is a check, not a proof:
a wrong gradient passes with a chance that is bounded and stated (`chance_of_luck`). Where
cotangents of the output are given, they take the place of the loss.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, final

import numpy as np
from sympy import Symbol

from derive.program import ONE_HOT, Program, Tensor
from derive.proof.attempt import left_out
from derive.proof.claim import Claim
from derive.proof.degree import chance_of_luck
from derive.proof.explicit import Explicit, Place, small_sizes
from derive.proof.prime import PRIME, NoSuchPointError, Prime
from derive.proof.reach import OutOfReachError
from derive.proof.tangent import Entries, Tangents

RUNG = "modulo a prime"
METHOD = "exact arithmetic modulo 2^64 − 2^32 + 1: forward tangents"
MOST_ENTRIES = 20_000  # of all tensors together
_SEED = 1980
_DRAWS = 200  # of points, until one has the roots that are needed
_PATTERNS = 20  # of branches, where comparisons must be 0 or 1


def modular_check(program: Program, sizes: dict[Symbol, int] | None = None) -> tuple[Claim, ...]:
    """Check every gradient of a programme at a random point modulo a prime.

    Parameters
    ----------
    program
        A gradient programme, rewritten or not, before its stable form.
    sizes
        Numbers to use for the sizes that are names.

    Returns
    -------
    tuple of Claim
        One for each parameter, and for each input that is differentiated; a single one, not
        attempted, where something is out of reach.
    """
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    wanted = wanted_gradients(program)
    return claims_at_points(
        explicit,
        wanted,
        lambda prime: _Point(explicit, wanted, prime).wrong,
        lambda: chance_of_luck(explicit, ends(program), tuple(wanted.values())),
        rung=RUNG,
        method=f"{METHOD} at a random point",
        claim="{result} gives the slope along every direction in {name}",
        reason="another slope was found",
    )


def claims_at_points(
    explicit: Explicit,
    results: Mapping[str, str],
    wrong_at: Callable[[Prime], set[str]],
    luck: Callable[[], float],
    *,
    rung: str,
    method: str,
    claim: str,
    reason: str,
) -> tuple[Claim, ...]:
    """Check results at random points modulo a prime; return a claim for each.

    Parameters
    ----------
    explicit
        The programme, written out.
    results
        What is checked, by the names of the tensors that it is about.
    wrong_at
        As for `at_points`; the names are those of `results`.
    luck
        Returns the chance that a wrong result passes.
    rung, method, claim, reason
        As in `Claim`: `claim` with ``{name}`` and ``{result}`` in it, `reason` of what is wrong.
    """
    start = perf_counter()
    if explicit.count() > MOST_ENTRIES:
        return (left_out(rung, results.values(), f"more than {MOST_ENTRIES} entries"),)
    try:
        wrong, patterns = at_points(wrong_at)
        bound = luck()
    except OutOfReachError as error:
        return (left_out(rung, results.values(), str(error)),)
    seconds = (perf_counter() - start) / max(1, len(results))
    method += f", for {patterns} patterns of comparisons" if patterns else ""
    return tuple(
        Claim(
            claim=claim.format(name=name, result=result),
            method=method,
            status="failed" if name in wrong else "checked",
            rung=rung,
            about=result,
            sizes=explicit.sizes_text(),
            reason=reason if name in wrong else "",
            error_bound=bound,
            seconds=seconds,
        )
        for name, result in results.items()
    )


def wanted_gradients(program: Program) -> dict[str, str]:
    """Return the gradients of inputs and parameters, by the names of these."""
    given = {tensor.name for tensor in program.inputs}
    return {name: gradient for name, gradient in program.cotangents if name in given}


def ends(program: Program) -> tuple[str, ...]:
    """Return what is differentiated: a scalar, or tensors whose cotangents are given."""
    written = {statement.name: statement.target for statement in program.forward}
    given = {tensor.name for tensor in program.inputs}
    seeded = tuple(name for name in written if f"d{name}" in given)
    scalars = tuple(n for n in program.outputs if n in written and not written[n].shape)
    if not seeded and len(scalars) != 1:
        raise OutOfReachError("it is not the gradient of one scalar")
    return seeded or scalars


def at_points(wrong_at: Callable[[Prime], set[str]]) -> tuple[set[str], int]:
    """Return the names that differ at a random point, and how many patterns of branches it took.

    Parameters
    ----------
    wrong_at
        Returns the names that differ at a point that the prime draws.
    """
    point, compares = _at_a_point(wrong_at, bits=False, seed=_SEED)
    if not point or not compares:
        return point, 0
    wrong: set[str] = set()
    for pattern in range(1, _PATTERNS + 1):
        wrong |= _at_a_point(wrong_at, bits=True, seed=_SEED + _DRAWS * pattern)[0]
        if wrong == point:  # all that may be wrong is
            return wrong, pattern
    return wrong, _PATTERNS


def _at_a_point(
    wrong_at: Callable[[Prime], set[str]], *, bits: bool, seed: int
) -> tuple[set[str], bool]:
    """Return what is wrong at a point, and whether anything was compared there."""
    for draw in range(_DRAWS):
        prime = Prime(seed + draw, bits=bits)
        try:
            return wrong_at(prime), len(prime.truths) > 1
        except NoSuchPointError:
            continue
    raise OutOfReachError(f"none of {_DRAWS} random points has all the square roots")


def drawn(explicit: Explicit, tensor: Tensor, prime: Prime) -> Entries:
    """Draw the entries of a tensor; the rows of Y sum to 1 if that is assumed."""
    entries: Entries = {place: (prime.element(), None) for place in explicit.places(tensor)}
    if tensor.name == "Y" and ONE_HOT in explicit.program.assumptions:
        rows, columns = explicit.shape(tensor)
        for i in range(rows):
            others = sum(entries[i, k][0] for k in range(columns - 1))
            entries[i, columns - 1] = ((1 - others) % PRIME, None)
    return entries


@final
class _Point:
    """The comparison at one point."""

    def __init__(self, explicit: Explicit, wanted: dict[str, str], prime: Prime) -> None:
        self.explicit = explicit
        program = explicit.program
        given = {tensor.name: drawn(explicit, tensor, prime) for tensor in program.inputs}
        forward = Tangents(explicit, prime, self._with_directions(given, wanted, prime))
        forward.run(program.forward)
        slopes: Any = np.zeros(len(wanted), dtype=object)
        for end in ends(program):
            for place, (_, slope) in forward.known[end].items():
                if slope is not None:
                    weight = given[f"d{end}"][place][0] if f"d{end}" in given else 1
                    slopes = (slopes + weight * slope) % PRIME
        known = {name: _values(entries) for name, entries in forward.known.items()}
        backward = Tangents(explicit, prime, known)
        backward.run(program.backward)
        self.wrong = {
            name
            for n, (name, gradient) in enumerate(wanted.items())
            if (self._product(backward.known[gradient], self.directions[name]) - slopes[n]) % PRIME
        }

    def _with_directions(
        self, given: dict[str, Entries], wanted: dict[str, str], prime: Prime
    ) -> dict[str, Entries]:
        self.directions: dict[str, dict[Place, int]] = {}
        result = dict(given)
        for n, name in enumerate(wanted):
            self.directions[name] = {place: prime.element() for place in given[name]}
            result[name] = {}
            for place, (value, _) in given[name].items():
                slopes: Any = np.zeros(len(wanted), dtype=object)
                slopes[n] = self.directions[name][place]
                result[name][place] = (value, slopes)
        return result

    def _product(self, gradient: Entries, direction: dict[Place, int]) -> int:
        return sum(gradient[place][0] * step for place, step in direction.items())


def _values(entries: Entries) -> Entries:
    return {place: (value, None) for place, (value, _) in entries.items()}
