"""Rung 1: each gradient statement against brute-force differentiation of what it comes from.

For every tensor T with a gradient statement, each entry of ``dT`` must equal the sum, over
the entries of all statements that read T, of their own cotangent times ``sympy.diff`` of
the written-out body in the entry of T. Both sides are exact, the other cotangents are
symbols, and by induction from the loss backwards all of it together says that the
programme is the gradient. A cotangent that rewriting has removed is put in as the same sum.
"""

from sympy import Add, Expr, Integer, Symbol, diff

from derive.program import Program, Statement
from derive.proof.algebra import Algebra
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit, Place, small_sizes


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
    return _Local(program, small_sizes(program) if sizes is None else sizes).claims()


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

    def claims(self) -> tuple[Claim, ...]:
        named = ", ".join(f"{name} = {number}" for name, number in self.explicit.sizes.items())
        method = "sympy.diff of every entry" + (f", {named}" if named else "")
        found = []
        for name, gradient in self.program.cotangents:
            statement = self.program.statement(gradient)
            holds = all(
                self._holds(name, statement, place)
                for place in self.explicit.places(statement.target)
            )
            through = ", ".join(reader.name for reader in self.readers[name]) or "nothing"
            text = f"{gradient} is the derivative in {name} through {through}"
            found.append(Claim(claim=text, method=method, holds=holds))
        for name in self.program.parameters:
            if name not in self.program.gradients:
                text = f"{name} has a gradient"
                found.append(Claim(claim=text, method="looked for it", holds=False))
        return tuple(found)

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
            self.bodies[key] = self.explicit.body(statement, place)
        return self.bodies[key]
