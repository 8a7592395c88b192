"""Second order: the derivatives along the direction, exactly and modulo a prime.

Rung by rung as for gradients. Exactly, statement by statement: each entry of ``vT`` or ``hT``
must equal the sum, over everything that the statement of ``T`` or ``dT`` reads, of
``sympy.diff`` of the written-out body times how that changes. And at any depth: the gradient
programme itself is run on dual numbers modulo a prime, with the direction as slopes, and the
slopes of its results must be the products with the Hessian, entry by entry. The latter
knows nothing of how these came about.
"""

from functools import partial
from typing import Any

import numpy as np
from sympy import Add, Expr, Integer, Symbol, diff

from derive.program import MaxOver, Program, Statement
from derive.proof.algebra import Algebra
from derive.proof.attempt import Verdict, attempt, left_out
from derive.proof.claim import Claim
from derive.proof.degree import chance_of_luck_along
from derive.proof.explicit import Explicit, Place, small_sizes
from derive.proof.modular import METHOD, MOST_ENTRIES, claims_at_points, drawn
from derive.proof.prime import PRIME, Prime
from derive.proof.tangent import Entries, Tangents

EXACT = "second order, statement by statement"
MODULAR = "second order, modulo a prime"


def along_proof(program: Program, sizes: dict[Symbol, int] | None = None) -> tuple[Claim, ...]:
    """Prove every derivative along the direction on small explicit sizes.

    Parameters
    ----------
    program
        A programme of second order (`derive.hvp_program`), rewritten or not.
    sizes
        Numbers to use for the sizes that are names.

    Returns
    -------
    tuple of Claim
        One for each statement of second order; none where there is no second order.
    """
    if not program.second_order:
        return ()
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    products = program.hessian_products.values()
    if any(statement.body.has(MaxOver) for statement in program.statements):
        return (left_out(EXACT, products, "a programme is proved before its stable form"),)
    if explicit.count() > MOST_ENTRIES:
        return (left_out(EXACT, products, f"more than {MOST_ENTRIES} entries"),)
    along = _Along(program, explicit)
    return tuple(
        attempt(
            partial(along.verdict, name, program.statement(tangent)),
            claim=f"{tangent} is the derivative of {name} along v",
            method="exact: sympy.diff of every entry in what it reads",
            rung=EXACT,
            about=tangent,
            sizes=explicit.sizes_text(),
        )
        for name, tangent in program.tangents
    )


class _Along:
    def __init__(self, program: Program, explicit: Explicit) -> None:
        self.explicit = explicit
        self.algebra = Algebra()
        self.statements = {statement.name: statement for statement in program.statements}
        self.forward = {statement.name: statement for statement in program.forward}
        self.tangents = {**{name: f"v{name}" for name in program.parameters}}
        self.tangents |= dict(program.tangents)
        self.sums: dict[tuple[str, Place], Expr] = {}
        self.bodies: dict[tuple[str, Place], Expr] = {}

    def verdict(self, name: str, statement: Statement) -> Verdict:
        for place in self.explicit.places(statement.target):
            difference = self._body(statement.name, place) - self._sum(name, place)
            if not self._is_zero(difference):
                return "not proved", f"{self.explicit.entry(statement.name, place)} differs"
        return "proved", ""

    def _sum(self, name: str, place: Place) -> Expr:
        """Return how one entry changes, by brute force."""
        if (name, place) not in self.sums:
            body = self._body(name, place)
            terms = []
            for entry in sorted(body.free_symbols, key=str):
                read = self.explicit.where(entry)
                if read is not None:
                    terms.append(diff(body, entry) * self._change(*read))
            self.sums[name, place] = Add(*terms)
        return self.sums[name, place]

    def _change(self, name: str, place: Place) -> Expr:
        """Return how an entry changes: a symbol, or what it stands for, 0 for data."""
        if name in self.tangents:
            return self.explicit.entry(self.tangents[name], place)
        return self._sum(name, place) if name in self.statements else Integer(0)

    def _is_zero(self, difference: Expr) -> bool:
        """Whether it is 0, if need be with forward values written in what they come from."""
        while not self.algebra.is_zero(difference):
            values = {
                symbol: self._body(*read)
                for symbol in difference.free_symbols
                if (read := self.explicit.where(symbol)) is not None
                and read[0] in self.forward
                and self._rests_on(read[0], difference)
            }
            if not values:
                return False
            difference = difference.xreplace(values)
        return True

    def _rests_on(self, name: str, difference: Expr) -> bool:
        """Whether a value is computed from another that occurs."""
        reads = map(self.explicit.where, difference.free_symbols)
        present = {read[0] for read in reads if read is not None} - {name}
        return bool(present & self._ancestors(name))

    def _ancestors(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            statement = self.forward.get(waiting.pop())
            new = set(statement.reads()) - found if statement else set()
            found |= new
            waiting += new
        return found

    def _body(self, name: str, place: Place) -> Expr:
        if (name, place) not in self.bodies:
            body = self.explicit.body(self.statements[name], place)
            self.bodies[name, place] = self.algebra.without_cases(body)
        return self.bodies[name, place]


def along_check(program: Program, sizes: dict[Symbol, int] | None = None) -> tuple[Claim, ...]:
    """Check every product with the Hessian at a random point modulo a prime.

    Parameters
    ----------
    program
        A programme of second order, rewritten or not, before its stable form.
    sizes
        Numbers to use for the sizes that are names.

    Returns
    -------
    tuple of Claim
        One for each parameter; a single one, not attempted, where something is out of reach;
        none where there is no second order.
    """
    products = program.hessian_products
    if not products:
        return ()
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    return claims_at_points(
        explicit,
        products,
        partial(_at_a_point, explicit),
        lambda: chance_of_luck_along(explicit, products),
        rung=MODULAR,
        method=f"{METHOD} of the gradient, along a random direction",
        claim="{result} is how d{name} changes along every direction",
        reason="another change was found",
    )


def _at_a_point(explicit: Explicit, prime: Prime) -> set[str]:
    """Return the names of the parameters whose products differ at one point."""
    program = explicit.program
    given = {tensor.name: drawn(explicit, tensor, prime) for tensor in program.inputs}
    moved: dict[str, Entries] = {
        name: {
            place: (value, _direction(given[f"v{name}"][place][0]))
            for place, (value, _) in given[name].items()
        }
        for name in program.parameters
    }
    first = Tangents(explicit, prime, {**given, **moved})
    first.run((*program.forward, *program.backward))
    still = {
        name: {place: (value, None) for place, (value, _) in entries.items()}
        for name, entries in first.known.items()
    }
    second = Tangents(explicit, prime, still)
    second.run(program.second_order)
    return {
        name
        for name, product in program.hessian_products.items()
        if any(
            (second.known[product][place][0] - (0 if slope is None else int(slope[0]))) % PRIME
            for place, (_, slope) in first.known[program.gradients[name]].items()
        )
    }


def _direction(value: int) -> Any:
    slopes: Any = np.zeros(1, dtype=object)
    slopes[0] = value
    return slopes
