"""Rung 1: each gradient statement against brute-force differentiation of what it comes from.

For every tensor T with a gradient statement, each entry of ``dT`` must equal the sum, over
the entries of all statements that read T, of their own cotangent times ``sympy.diff`` of
the written-out body in the entry of T. Both sides are exact, the other cotangents are
symbols, and by induction from the loss backwards all of it together says that the
programme is the gradient. A cotangent that rewriting has removed is put in as the same sum.
"""

from collections.abc import Iterator
from functools import partial

from sympy import Add, Expr, Integer, Symbol, diff

from derive.program import MaxOver, Program, Statement
from derive.proof.algebra import Algebra
from derive.proof.attempt import Verdict, attempt, left_out
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit, Place, small_sizes

RUNG = "statement by statement"
MOST_ENTRIES = 20_000  # of all tensors together: some ten seconds


def local_proof(program: Program, sizes: dict[Symbol, int] | None = None) -> tuple[Claim, ...]:
    """Prove every gradient statement of a programme on small explicit sizes.

    Parameters
    ----------
    program
        A gradient programme (`derive.gradient_program`, `derive.vjp_program`), rewritten or
        not. Sizes that are names are given numbers, each another; integers are kept.
    sizes
        Numbers to use for the sizes that are names.

    Returns
    -------
    tuple of Claim
        One for each gradient statement.
    """
    if any(statement.body.has(MaxOver) for statement in program.statements):
        reason = "a programme is proved before its stable form"
        return (left_out(RUNG, program.gradients.values(), reason),)
    local = _Local(program, small_sizes(program) if sizes is None else sizes)
    if local.explicit.count() > MOST_ENTRIES:
        return (left_out(RUNG, program.gradients.values(), f"more than {MOST_ENTRIES} entries"),)
    return tuple(local.claims())


class _Local:
    def __init__(self, program: Program, sizes: dict[Symbol, int]) -> None:
        self.program = program
        self.explicit = Explicit(program, sizes)
        self.algebra = Algebra()
        self.forward = {statement.name: statement for statement in program.forward}
        self.readers: dict[str, list[Statement]] = {name: [] for name in program.tensors()}
        for statement in program.forward:
            for name in statement.reads():
                self.readers[name].append(statement)
        self.cotangents = {f"d{name}": name for name, _ in program.cotangents}
        self.given = {tensor.name for tensor in program.inputs}
        self.bodies: dict[tuple[str, Place], Expr] = {}
        self.sums: dict[tuple[str, Place], Expr] = {}
        self.downstream: dict[str, set[str]] = {}

    def claims(self) -> Iterator[Claim]:
        for name, gradient in self.program.cotangents:
            statement = self.program.statement(gradient)
            through = ", ".join(reader.name for reader in self.readers[name]) or "nothing"
            yield attempt(
                partial(self._verdict, name, statement),
                claim=f"{gradient} is the derivative in {name} through {through}",
                method="exact: sympy.diff of every entry of what reads it",
                rung=RUNG,
                about=gradient,
                sizes=self.explicit.sizes_text(),
            )
        for name in self.program.parameters:
            if name not in self.program.gradients:
                yield Claim(
                    claim=f"{name} has a gradient",
                    method="looked for it",
                    status="not proved",
                    rung=RUNG,
                    about=f"d{name}",
                    reason="no statement writes it",
                )

    def _verdict(self, name: str, statement: Statement) -> Verdict:
        for place in self.explicit.places(statement.target):
            if not self._holds(name, statement, place):
                return "not proved", f"{self.explicit.entry(statement.name, place)} differs"
        return "proved", ""

    def _holds(self, name: str, statement: Statement, place: Place) -> bool:
        stated = self._body(statement, place)
        difference = stated - self._chain_sum(name, place)
        return self.algebra.is_zero(self._in_terms_of(name, difference))

    def _chain_sum(self, name: str, place: Place) -> Expr:
        """Return what the chain rule says about one entry, by brute force."""
        if (name, place) not in self.sums:
            entry = self.explicit.entry(name, place)
            terms: list[Expr] = []
            for reader in self.readers[name]:
                for at in self.explicit.places(reader.target):
                    body = self._body(reader, at)
                    if entry in body.free_symbols:
                        terms.append(self._cotangent(reader, at) * diff(body, entry))
            self.sums[name, place] = Add(*terms)
        return self.sums[name, place]

    def _cotangent(self, statement: Statement, place: Place) -> Expr:
        """Return the cotangent of an entry: a symbol, 1 for the loss, or the sum it stands for."""
        gradient = f"d{statement.name}"
        if gradient in self.given or gradient in self.cotangents:
            return self.explicit.entry(gradient, place)
        if not self.readers[statement.name]:
            return Integer(1) if statement.name == self._scalar() else Integer(0)
        return self._chain_sum(statement.name, place)

    def _scalar(self) -> str:
        """Return the name of the scalar that is differentiated; none where a cotangent is given."""
        ends = [name for name in self.program.outputs if name in self.forward]
        return next((name for name in ends if not self.forward[name].target.shape), "")

    def _in_terms_of(self, name: str, expression: Expr) -> Expr:
        """Write what was computed from `name` in its entries, as far as it occurs."""
        downstream = self._downstream(name)
        values: dict[Expr, Expr] = {}
        for symbol in expression.free_symbols:
            place = self.explicit.where(symbol)
            if place is not None and place[0] in downstream:
                body = self._body(self.forward[place[0]], place[1])
                values[symbol] = self._in_terms_of(name, body)
        return expression.xreplace(values)

    def _downstream(self, name: str) -> set[str]:
        if name not in self.downstream:
            reached = {name}
            for statement in self.program.forward:
                if reached & set(statement.reads()):
                    reached.add(statement.name)
            self.downstream[name] = reached - {name}
        return self.downstream[name]

    def _body(self, statement: Statement, place: Place) -> Expr:
        key = (statement.name, place)
        if key not in self.bodies:
            # cases go first: SymPy would differentiate |log(x)| as a complex function
            body = self.explicit.body(statement, place)
            self.bodies[key] = self.algebra.without_cases(body)
        return self.bodies[key]
