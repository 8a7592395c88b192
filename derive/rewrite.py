"""Rewriting of a gradient programme: reuse, inlining, stated identities, common factors.

Each rewriting keeps every value, is recorded as a `Step`, and is taken only where the
result is cheaper. Nothing here knows an activation or a loss by name.
"""

from collections.abc import Mapping
from dataclasses import replace

import sympy
from sympy import Add, Expr, Indexed, Integer, Piecewise, Pow

from derive.check import check_program
from derive.errors import InputError
from derive.indices import canonical, rename, with_fresh_sums
from derive.program import (
    BATCH,
    ONE_HOT,
    SUBSTITUTE,
    Program,
    Statement,
    Step,
    Sum,
    indices_of,
    occurrences,
    tensor_of,
)
from derive.reuse import cancel, cost, is_reusable, reuse
from derive.shifts import is_shifted

LABELS = ("one-hot", "any")

MASK = "a where(c, x, 0) = where(c, a x, 0): a branch not taken adds nothing, whatever a is"
LOGISTIC = "exp(u)/(1 + exp(u)) = 1/(1 + exp(-u))"


def rewrite_program(program: Program, *, labels: str = "one-hot") -> Program:
    """Return a gradient programme in the form that a textbook prints.

    Parameters
    ----------
    program
        The result of `derive.gradient_program`, `derive.vjp_program` or
        `derive.hvp_program`; of the last, the statements of second order are rewritten.
    labels
        ``"one-hot"`` assumes that every row of ``Y`` sums to 1 (it need not be 0 or 1),
        where that simplifies something; ``assumptions`` of the result says whether it did.
        ``"any"`` assumes nothing.

    Returns
    -------
    Program
        The same forward statements; statements equal in value, in the forward values, for
        what differentiation added last, with those left out that only one other statement
        read and that it absorbed.

    Raises
    ------
    InputError
        If `labels` is neither.
    """
    if labels not in LABELS:
        raise InputError(f'labels: "{labels}" is not known. Expected one-hot or any.')
    rewriter = _Rewriter(program, one_hot=labels == "one-hot" and _has_targets(program))
    for name in [statement.name for statement in _added_last(program)]:
        rewriter.reuse_forward_values(name)
        rewriter.absorb_cotangents(name)
    return rewriter.result()


class _Rewriter:
    """The statements while they are being rewritten, and the steps that were taken."""

    def __init__(self, program: Program, *, one_hot: bool) -> None:
        self.program = program
        self.one_hot = one_hot
        self.statements = {statement.name: statement for statement in program.statements}
        self.added = {statement.name for statement in _added_last(program)}
        self.steps = list(program.steps)
        self.assumptions: tuple[str, ...] = ()
        self.reusable: dict[str, list[Statement]] = {}
        self.reader_counts: dict[str, int] = {}
        for statement in program.statements:
            for name in statement.reads():
                self.reader_counts[name] = self.reader_counts.get(name, 0) + 1
        for statement in program.forward:
            if is_reusable(statement):
                for name in statement.reads():
                    self.reusable.setdefault(name, []).append(statement)

    def result(self) -> Program:
        return check_program(
            replace(
                self.program,
                statements=tuple(self.statements.values()),
                cotangents=tuple(
                    (name, grad)
                    for name, grad in self.program.cotangents
                    if grad in self.statements
                ),
                tangents=tuple(
                    (name, tangent)
                    for name, tangent in self.program.tangents
                    if tangent in self.statements
                ),
                assumptions=(*self.program.assumptions, *self.assumptions),
                steps=tuple(self.steps),
            )
        )

    def reuse_forward_values(self, name: str) -> None:
        """Write a statement in the values that the forward pass computed."""
        for tensor in self.statements[name].reads():
            for source in self.reusable.get(tensor, []):
                statement = self.statements[name]
                body = reuse(statement.body, source)
                reason = f"{source.name} is known from the forward pass"
                origin = (f"reuse: {source.name}",)
                self._take(statement, body, "reuse", reason, origin, (source.name,))
        statement = self.statements[name]
        self._take(statement, masked(statement.body), "identity", MASK)
        statement = self.statements[name]
        self._take(statement, logistic(statement.body), "identity", LOGISTIC)
        statement = self.statements[name]
        self._take(statement, common_factors(statement.body), "factor", "common factors in front")

    def absorb_cotangents(self, name: str) -> None:
        """Put in the cotangents that only this statement reads, where that is cheaper."""
        for other in self.statements[name].reads():
            if other not in self.added or other in self.program.outputs:
                continue
            if self.reader_counts[other] != 1 or self._is_shifted_in(name, other):
                continue
            self._absorb(self.statements[name], self.statements[other])

    def _is_shifted_in(self, name: str, other: str) -> bool:
        """Whether a statement reads `other` outside of it too, where its body may not be 0."""
        reads = occurrences(self.statements[name].body)
        return any(is_shifted(read) and tensor_of(read) == other for read in reads)

    def _absorb(self, statement: Statement, other: Statement) -> None:
        merged = put_in(statement.body, other)
        simple, rule = self._simplified(merged)
        copies = _is_read(statement.body) or _is_read(other.body)
        if not copies and cost(simple) >= cost(statement.body) + cost(other.body) - 1:
            return
        reason = f"{other.name} is read nowhere else, so its formula takes its place"
        self._take(statement, merged, SUBSTITUTE, reason, other.origin, (other.name,))
        now = self.statements[statement.name]
        if rule == "distribute":
            self._take(now, distribute(merged), rule, "a(b + c) = ab + ac")
            self._assume_one_hot(self.statements[statement.name])
        elif rule == "cancel":
            self._take(now, cancel(merged), rule, "common factors above and below")
        self._take(self.statements[statement.name], simple, "factor", "common factors in front")
        for name in other.reads():
            already = name in statement.reads()
            self.reader_counts[name] -= already
        del self.statements[other.name]

    def _simplified(self, body: Expr) -> tuple[Expr, str]:
        """Return the cheapest form of a body, and the rule before "factor" that led to it."""
        expanded = distribute(body)
        known = row_sums(expanded) if self.one_hot else expanded
        forms = {"": body, "distribute": known}
        divides = any(p.exp.is_negative and occurrences(p.base) for p in known.atoms(Pow))
        if divides:
            forms["cancel"] = cancel(body)
        factored = {rule: common_factors(form) for rule, form in forms.items()}
        rule = min(factored, key=lambda rule: cost(factored[rule]))
        return factored[rule], rule

    def _assume_one_hot(self, statement: Statement) -> None:
        """Put 1 for the sum over a row of the targets, if there is one and it is assumed."""
        body = row_sums(statement.body)
        if not self.one_hot or body == statement.body:
            return
        reason = f"{ONE_HOT}, as is assumed"
        self._take(statement, body, "identity", reason, (f"identity: {ONE_HOT}",))
        if ONE_HOT not in (*self.program.assumptions, *self.assumptions):
            self.assumptions += (ONE_HOT,)

    def _take(
        self,
        statement: Statement,
        body: Expr,
        rule: str,
        reason: str,
        origin: tuple[str, ...] = (),
        uses: tuple[str, ...] = (),
    ) -> None:
        body = canonical(body, statement.indices)
        if body == statement.body:
            return
        step = Step(
            rule=rule,
            target=statement.name,
            indices=statement.indices,
            before=statement.body,
            after=body,
            reason=reason,
            uses=uses,
        )
        self.steps.append(step)
        merged = tuple(dict.fromkeys((*statement.origin, *origin)))
        self.statements[statement.name] = replace(statement, body=body, origin=merged)


def _added_last(program: Program) -> tuple[Statement, ...]:
    """Return what the latest differentiation added."""
    return program.second_order or program.backward


def _has_targets(program: Program) -> bool:
    return any(tensor.name == "Y" and len(tensor.shape) == 2 for tensor in program.inputs)


def _is_read(body: Expr) -> bool:
    return isinstance(body, Indexed)


def put_in(body: Expr, other: Statement) -> Expr:
    """Replace every read of a statement's target by its body."""
    values: dict[Expr, Expr] = {}
    for read in occurrences(body):
        if tensor_of(read) == other.name:
            place: Mapping[Expr, Expr] = dict(zip(other.indices, indices_of(read), strict=True))
            values[read] = rename(with_fresh_sums(other.body), place)
    return _pulled(body.xreplace(values))


def _pulled(body: Expr) -> Expr:
    """Move factors that do not depend on a sum's index out of the sum."""
    if isinstance(body, Indexed) or not body.has(Sum):
        return body
    if isinstance(body, Sum):
        total = _pulled(body.function)
        for symbol, first, last in body.limits:
            outside, inside = total.as_independent(symbol, as_Add=False)
            total = outside * Sum(inside, (symbol, first, last))
        return total
    return body.func(*(_pulled(argument) for argument in body.args))


def distribute(body: Expr) -> Expr:
    """Multiply out the outermost product."""
    return sympy.expand_mul(body, deep=False)


def row_sums(body: Expr) -> Expr:
    """Replace the sum over a whole row of the targets by 1."""
    ones = {}
    for node in body.atoms(Sum):
        read, limits = node.function, node.limits
        whole_row = (
            isinstance(read, Indexed)
            and read.base.name == "Y"
            and len(limits) == 1
            and read.indices[1] == limits[0][0]
            and read.indices[0] != limits[0][0]
            and limits[0][2] + 1 != BATCH
        )
        if whole_row:
            ones[node] = Integer(1)
    return body.xreplace(ones)


def masked(body: Expr) -> Expr:
    """Take the other factors of a product into a case distinction that is 0 elsewhere.

    Equal where they are finite; where one is infinite, 0 times it would not be 0.
    """
    found: dict[Expr, Expr] = {}
    for product in body.atoms(sympy.Mul):
        for choice in product.args:
            if isinstance(choice, Piecewise) and any(value == 0 for value, _ in choice.args):
                others = sympy.Mul(*(factor for factor in product.args if factor is not choice))
                cases = ((others * value, condition) for value, condition in choice.args)
                found[product] = Piecewise(*cases)
                break
    return body.xreplace(found)


def logistic(body: Expr) -> Expr:
    """Write ``exp(u)/(1 + exp(u))`` as ``1/(1 + exp(-u))``, which does not overflow."""
    found: dict[Expr, Expr] = {}
    for product in body.atoms(sympy.Mul):
        for power in product.args:
            base, exponent = power.as_base_exp()
            if exponent != -1 or not base.is_Add or len(base.args) != 2:
                continue
            one, call = base.args
            if one == 1 and isinstance(call, sympy.exp) and call in product.args:
                rest = [part for part in product.args if part not in (power, call)]
                found[product] = sympy.Mul(*rest, 1 / (1 + sympy.exp(-call.args[0])))
    return body.xreplace(found)


def common_factors(body: Expr) -> Expr:
    """Return a sum of products as a product with a sum, where that is cheaper."""
    if not body.has(Add):
        return body
    body = _pulled(body)
    return min((body, sympy.factor_terms(body), _gathered(body)), key=cost)


def _gathered(body: Expr) -> Expr:
    """Return ``a*b + a*c + d`` as ``a*(b + c) + d``, for the entry that most terms share."""
    terms = sympy.Add.make_args(body)
    if len(terms) < 3:
        return body
    shared: dict[Expr, list[Expr]] = {}
    for term in terms:
        for factor in sympy.Mul.make_args(term):
            if isinstance(factor, Indexed):
                shared.setdefault(factor, []).append(term)
    if not shared:
        return body
    factor = max(sorted(shared, key=sympy.default_sort_key), key=lambda f: len(shared[f]))
    inside = sympy.Add(*(term / factor for term in shared[factor]))
    outside = sympy.Add(*(term for term in terms if term not in shared[factor]))
    return factor * inside + outside
