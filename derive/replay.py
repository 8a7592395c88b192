"""A derivation done again from its record: the forward statements and the steps, no more.

Each step names a rule, the statement it changes and the statements it rests on. `replay`
carries the rule out on what stands there, and refuses the step if that is not the recorded
``before``, or if what comes out is not the recorded ``after``. So a record that replays is
complete: nothing happened that it does not tell. That holds for gradients, for second order
along a direction, and for the sound forms in which a programme is computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import sympy
from sympy import Expr, Integer, KroneckerDelta, Mul, Symbol

from derive.body_slopes import Range
from derive.errors import InternalError
from derive.gradient import total_over
from derive.indices import canonical, fresh, rename
from derive.local_derivative import local_derivative
from derive.program import (
    ONE_HOT,
    SUBSTITUTE,
    Partial,
    Program,
    Statement,
    Step,
    Sum,
    Tensor,
    base,
    scalar,
    tensor_of,
)
from derive.reuse import cancel, reuse
from derive.rewrite import (
    LOGISTIC,
    MASK,
    common_factors,
    distribute,
    logistic,
    masked,
    put_in,
    row_sums,
)
from derive.second_order import ALONG, KINK, AlongDirection
from derive.shifts import solve_shift
from derive.stable import DEFINITION, STABLE, stable_form


def replay(forward: Program, steps: Sequence[Step], *, of: str = "loss") -> tuple[Statement, ...]:
    """Return the statements that recorded steps lead to.

    Parameters
    ----------
    forward
        The programme that was differentiated, for example that of `derive.loss_program`.
    steps
        ``steps`` of the result of `derive.gradient_program`, `derive.rewrite_program`,
        `derive.hvp_program` or `derive.stable_program`.
    of
        The scalar that was differentiated.

    Returns
    -------
    tuple of Statement
        The statements that the steps write, in order, without their origins: the backward
        ones, those of second order, and what they change of the forward ones.

    Raises
    ------
    InternalError
        Naming the first step that does not apply, and why.

    Examples
    --------
    >>> import derive
    >>> loss = derive.loss_program("2-2")
    >>> program = derive.rewrite_program(derive.gradient_program(loss))
    >>> for statement in replay(loss, program.steps):
    ...     print(statement)
    dZ1[i,j] = (P[i,j] − Y[i,j])/B
    dW1[j,k] = Σ_i dZ1[i,j] X[i,k]
    db1[j] = Σ_i dZ1[i,j]
    """
    board = _Board(forward, of)
    for number, step in enumerate(steps, start=1):
        try:
            board.take(step)
        except _RefusedError as refused:
            raise InternalError(f"step {number}, {step}, does not apply: {refused}") from refused
    if board.owed:
        told = "; ".join(f"{name}: {reason}" for name, reason in board.owed.items())
        raise InternalError(f"the record ends early, and does not apply: it owes {told}")
    return tuple(board.written.values())


_BEGINNINGS = ("chain rule", ALONG)


class _RefusedError(Exception):
    """The step does not apply; the message says why."""


class _Board:
    """What stands there: the forward statements, and what the steps have written so far."""

    def __init__(self, forward: Program, of: str) -> None:
        self.of = of
        self.program = forward
        self.tensors = forward.tensors()
        self.forward = {statement.name: statement for statement in forward.statements}
        self.written: dict[str, Statement] = {}
        self.shifts: dict[str, Step] = {}  # defined, and not yet read
        self.owed: dict[str, str] = {}  # what a step must be followed by
        self.along: AlongDirection | None = None
        self.rules: dict[str, Callable[[Step], Expr]] = {
            "chain rule": self.chain_rule,
            "derivative": self.derivative,
            "delta": lambda step: contracted(step.before),
            "reuse": lambda step: reuse(step.before, self.known(step)),
            SUBSTITUTE: lambda step: put_in(step.before, self.known(step)),
            "distribute": lambda step: distribute(step.before),
            "identity": identity,
            "cancel": lambda step: cancel(step.before),
            "factor": lambda step: common_factors(step.before),
            ALONG: self.along_direction,
            KINK: self.kink,
            STABLE: self.stable,
        }

    def take(self, step: Step) -> None:
        """Carry out one step."""
        if step.rule == DEFINITION:
            self.define(step)
            return
        if step.rule not in self.rules:
            raise _RefusedError(f"there is no rule {step.rule}")
        if step.target in self.owed and step.rule != KINK:
            raise _RefusedError(f"it is owed first that {self.owed[step.target]}")
        statement = self.begun(step) if step.rule in _BEGINNINGS else self.standing(step)
        if statement.indices != step.indices or statement.body != step.before:
            raise _RefusedError(f"what stands there is {statement}")
        after = canonical(self.rules[step.rule](step), step.indices)
        if after != step.after:
            raise _RefusedError(f"it leads to {after}")
        self.written[step.target] = replace(statement, body=step.after, origin=())
        if step.rule == SUBSTITUTE:
            del self.written[self.known(step).name]

    def begun(self, step: Step) -> Statement:
        """Return the statement with which a derivative begins: it is equal to itself."""
        if step.target in self.written:
            raise _RefusedError(f"{step.target} is there already")
        if step.rule == ALONG:
            shape = self.derivative_along(step.target).target.shape
        else:
            operand = self.tensors.get(step.target.removeprefix("d"))
            if operand is None:
                raise _RefusedError(f"{step.target} is the gradient of nothing that is there")
            shape = operand.shape
        target = Tensor(name=step.target, shape=shape)
        return Statement(target=target, indices=step.indices, body=target[step.indices or ()])

    def standing(self, step: Step) -> Statement:
        """Return the statement that a step changes; a stable form may change a forward one."""
        if step.target in self.forward and step.rule == STABLE:
            return self.written.get(step.target, self.forward[step.target])
        return self.own(step.target)

    def own(self, name: str) -> Statement:
        """Return a statement that the steps have written."""
        if name not in self.written:
            raise _RefusedError(f"{name} is not there")
        return self.written[name]

    def known(self, step: Step) -> Statement:
        """Return the one statement that a step rests on."""
        (name,) = step.uses or ("",)
        return self.forward[name] if name in self.forward else self.own(name)

    def chain_rule(self, step: Step) -> Expr:
        """Return the sum over everything that reads an operand."""
        operand = self.tensors[step.target.removeprefix("d")]
        total: Expr = Integer(0)
        for name, statement in self.forward.items():
            reached = name == self.of or f"d{name}" in self.written
            if operand.name in statement.reads() and reached:
                own = tuple((fresh(), extent) for extent in statement.target.shape)
                place = tuple(symbol for symbol, _ in own) or ()
                slope = Partial(statement.target[place], operand[step.indices or ()])
                if name != self.of:
                    slope *= self.written[f"d{name}"].target[place]
                total += total_over(slope, own, pull=False)
        return total

    def derivative(self, step: Step) -> Expr:
        """Return an expression with every derivative in it taken."""
        taken = {
            node: local_derivative(self.forward[tensor_of(node.args[0])], node)
            for node in step.before.atoms(Partial)
        }
        return step.before.xreplace(taken)

    def along_direction(self, step: Step) -> Expr:
        """Return the derivative along the direction of what stands there now."""
        made = self.derivative_along(step.target)
        missing = [name for name in made.reads() if self.is_missing(name)]
        if missing:
            raise _RefusedError(f"{missing[0]} is not there")
        for later in self._along().steps:
            if later.rule == KINK and later.target == step.target:
                self.owed[step.target] = later.reason
        return made.body

    def derivative_along(self, name: str) -> Statement:
        for made in self._along().derivatives:
            if made.name == name:
                return made
        raise _RefusedError(f"{name} is the derivative of nothing that is there")

    def _along(self) -> AlongDirection:
        """Differentiate the gradient, as it is when second order begins, along the direction."""
        if self.along is None:
            names = [name for name in self.tensors if f"d{name}" in self.written]
            self.along = AlongDirection(
                replace(
                    self.program,
                    statements=(*self.program.statements, *self.written.values()),
                    cotangents=tuple((name, f"d{name}") for name in names),
                )
            )
        return self.along

    def is_missing(self, name: str) -> bool:
        """Whether nothing that is given or stands there has that name."""
        given = {tensor.name for tensor in self._along().directions}
        return not (name in given or name in self.tensors or name in self.written)

    def kink(self, step: Step) -> Expr:
        """Return what stands there: that a slope jumps adds nothing."""
        if self.owed.get(step.target) != step.reason:
            raise _RefusedError("nothing there has that kink")
        del self.owed[step.target]
        return step.before

    def define(self, step: Step) -> None:
        """Take down what a shift is; the stable form that reads it says whether it is that."""
        if step.target in self.shifts or step.target in self.written:
            raise _RefusedError(f"{step.target} is there already")
        entry = base(step.target)[step.indices] if step.indices else scalar(step.target)
        if step.before != entry:
            raise _RefusedError(f"a definition of {step.target} begins with its entry")
        self.shifts[step.target] = step
        self.owed[step.target] = "a stable form reads it"

    def stable(self, step: Step) -> Expr:
        """Return the sound form of what stands there, with the shifts that were defined."""
        known = {**self.forward, **self.written}
        *added, new = stable_form(self.standing(step), known)
        for shift in added:
            told = self.shifts.pop(shift.name, None)
            if told is None or (told.indices, told.after) != (shift.indices, shift.body):
                raise _RefusedError(f"{shift} is not defined so")
            del self.owed[shift.name]
            self.written[shift.name] = replace(shift, origin=())
        return new.body


def identity(step: Step) -> Expr:
    """Carry out the identity that a step names in its reason."""
    if step.reason == MASK:
        return masked(step.before)
    if step.reason == LOGISTIC:
        return logistic(step.before)
    if step.reason.startswith(ONE_HOT):
        return row_sums(step.before)
    raise _RefusedError(f"there is no identity {step.reason}")


def contracted(expression: Expr) -> Expr:
    """Return sums over products with Kronecker deltas without the deltas.

    Examples
    --------
    >>> from derive.program import base, index
    >>> i, j, k = map(index, "ijk")
    >>> contracted(Sum(base("v")[k] * KroneckerDelta(j, k), (k, 0, 4)))
    v[j]
    """
    if expression.is_Add:
        return sympy.Add(*map(contracted, expression.args))
    factors, ranges = _opened(expression)
    for factor in factors:
        if factor.is_Add and factor.has(KroneckerDelta):
            others = [other for other in factors if other is not factor]
            terms = (total_over(Mul(*others, term), ranges) for term in factor.args)
            return sympy.Add(*map(contracted, terms))
    product, left = Mul(*factors), dict(ranges)
    while deltas := sorted(product.atoms(KroneckerDelta), key=sympy.default_sort_key):
        delta = next((d for d in deltas if any(index in left for index in d.args)), deltas[0])
        solution = _solution(delta, product, left)
        if solution is None or product.xreplace({delta: Integer(0)}) != 0:
            raise _RefusedError(f"{delta} leaves no single term of a sum")
        index, place = solution
        del left[index]
        product = rename(product, {index: place})  # SymPy makes 1 of δ[j,j]
    return total_over(product, tuple(left.items()))


def _solution(
    delta: KroneckerDelta, product: Expr, left: Mapping[Symbol, Expr]
) -> tuple[Symbol, Expr] | None:
    """Solve a delta for a summed index: one that stands alone in it, or else in a sum."""
    bound = [index for index in delta.args if index in left]
    if bound:
        (place, *more) = set(delta.args) - set(bound)
        return None if more or len(bound) != 1 else (bound[0], place)
    for position, place in (delta.args, reversed(delta.args)):
        solution = solve_shift(position, place, product, left)
        if solution is not None:
            return solution
    return None


def _opened(expression: Expr) -> tuple[list[Expr], tuple[Range, ...]]:
    """Return the factors of a product, those under sums that hold deltas included."""
    factors: list[Expr] = []
    ranges: tuple[Range, ...] = ()
    for factor in Mul.make_args(expression):
        if isinstance(factor, Sum) and factor.has(KroneckerDelta):
            own = {symbol: fresh() for symbol, _, _ in factor.limits}
            inner, more = _opened(rename(factor.function, own))
            factors += inner
            limits = reversed(factor.limits)  # the outermost first, as the rule sums
            ranges += (*((own[symbol], last + 1) for symbol, _, last in limits), *more)
        else:
            factors.append(factor)
    return factors, ranges
