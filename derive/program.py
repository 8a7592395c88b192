"""The index-notation programme: what everything in this package reads and returns.

Grammar::

    Program   = inputs, Statement*, outputs
    Statement = T[o, ...] := body            every index of T once; SSA: T is written once
    body      = number | size | T[e, ...]    e an index in scope, or a sum of integers times
                                             such; outside of its axis, T is then 0
              | body + body | body * body | body ** body
              | f(body)                      f: exp, log, tanh, ...
              | Sum(body, (k, 0, n - 1))     k is bound here and nowhere else
              | MaxOver(body, (k, 0, n - 1)) largest entry; only stable forms hold it
              | Piecewise((body, side > side), ..., (body, True))
    side      = body | an index in scope     an index is a number here and nowhere else

A size is a positive integer or a symbol. The meaning of a programme is given by
`derive.evaluate`; its invariants are checked by `derive.check`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import sympy
from sympy import Eq, Expr, Indexed, IndexedBase, Integer, Symbol, Tuple, sympify
from sympy.concrete.expr_with_limits import ExprWithLimits

from derive.errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

BATCH = Symbol("B", integer=True, positive=True)

ONE_HOT = "every row of Y sums to 1"

# the rule by which one statement takes in the formula of another, which is then gone
SUBSTITUTE = "substitute"


class Sum(sympy.Sum):  # type: ignore[misc]  # SymPy is untyped
    """SymPy's sum, which leaves a case distinction where it stands.

    SymPy 1.14 moves a ``Piecewise`` out of a sum within a sum although its condition needs the
    inner index, which is bound nowhere then. Sums of sums are one sum, as in SymPy.
    """

    def __new__(cls, function: Expr, *limits: tuple[Symbol, Expr, Expr] | Tuple) -> "Sum":
        """Return the sum of `function` over the indices of `limits`, innermost first."""
        if isinstance(function, sympy.Sum):
            limits = (*function.limits, *limits)
            function = function.function
        total: Sum = Expr.__new__(
            cls, sympify(function, strict=True), *(Tuple(*limit) for limit in limits)
        )
        total.is_commutative = True
        return total


class MaxOver(ExprWithLimits):  # type: ignore[misc]  # SymPy is untyped
    """The largest value of an expression over the range of its bound index.

    It is used as a shift that a proof has shown to change nothing, and is never
    differentiated.
    """


class Partial(Expr):  # type: ignore[misc]  # SymPy is untyped
    """``Partial(T[o], X[p])``: the derivative of what defines ``T[o]`` in ``X[p]``, not yet taken.

    It stands in recorded steps, where the chain rule is told before it is carried out, and
    never in a statement.
    """

    is_real = True


@lru_cache(maxsize=4096)
def base(name: str) -> IndexedBase:
    """Return the one SymPy base of a tensor's name.

    Bases that differ in their assumptions are different to SymPy, and derivatives across
    them are silently 0; so each is made here only.
    """
    return IndexedBase(name, real=True)


@lru_cache(maxsize=4096)
def index(name: str) -> Symbol:
    """Return the index symbol of that name: an integer from 0."""
    return Symbol(name, integer=True, nonnegative=True)


@lru_cache(maxsize=4096)
def size(value: int | str) -> Expr:
    """Return a size as SymPy sees it: an integer, or a positive integer symbol."""
    if isinstance(value, str):
        return Symbol(value, integer=True, positive=True)
    return Integer(value)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A name and a shape; the shape's entries are integers or size symbols."""

    name: str
    shape: tuple[Expr, ...]

    def __getitem__(self, indices: Expr | tuple[Expr, ...]) -> Expr:
        """Return the entry at `indices`; a tensor without axes is read with ``[()]``."""
        chosen = indices if isinstance(indices, tuple) else (indices,)
        if len(chosen) != len(self.shape):
            raise InternalError(f"{self.name} has {len(self.shape)} axes, read with {chosen}")
        return base(self.name)[chosen] if chosen else scalar(self.name)


@lru_cache(maxsize=256)
def scalar(name: str) -> Symbol:
    """Return the symbol by which a tensor without axes is read."""
    return Symbol(name, real=True)


@lru_cache(maxsize=65536)
def occurrences(expression: Expr) -> frozenset[Expr]:
    """Return the places where tensors are read; indices and sizes are integers, tensors real."""
    if isinstance(expression, Indexed):
        return frozenset({expression})
    if isinstance(expression, Symbol):
        is_read = expression.is_real and not expression.is_integer
        return frozenset({expression} if is_read else ())
    return frozenset().union(*map(occurrences, expression.args))


@lru_cache(maxsize=4096)
def _tensors_in(expression: Expr) -> tuple[str, ...]:
    return tuple(sorted({tensor_of(occurrence) for occurrence in occurrences(expression)}))


def tensor_of(occurrence: Expr) -> str:
    """Return the name of the tensor that is read there."""
    return str(occurrence.base.name if isinstance(occurrence, Indexed) else occurrence.name)


def indices_of(occurrence: Expr) -> tuple[Expr, ...]:
    """Return the indices with which a tensor is read there."""
    return tuple(occurrence.indices) if isinstance(occurrence, Indexed) else ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``target[indices] := body``, and where it came from.

    Attributes
    ----------
    target
        The tensor that is written; its name is written by no other statement.
    indices
        One symbol per axis; its range is the axis, from 0.
    body
        An expression of the grammar above whose free indices are `indices`.
    origin
        The statements, rules and identities that it came from, in order.
    """

    target: Tensor
    indices: tuple[Symbol, ...]
    body: Expr
    origin: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the tensor that is written."""
        return self.target.name

    def reads(self) -> tuple[str, ...]:
        """Names of the tensors read, sorted."""
        return _tensors_in(self.body)

    def to_sympy(self) -> Eq:
        """Return the statement as an equation of SymPy, entry by entry.

        Examples
        --------
        >>> import derive
        >>> derive.loss_program("2-3:relu-2").statement("Z1").to_sympy()
        Eq(Z1[i, j], b1[j] + Sum(W1[j, k]*X[i, k], (k, 0, 1)))
        """
        return Eq(self.target[self.indices or ()], self.body, evaluate=False)

    def __str__(self) -> str:
        """Write the statement in index form."""
        from derive.printing import statement_text

        return statement_text(self)

    def _repr_latex_(self) -> str:
        from derive.printing import statement_latex

        return f"$${statement_latex(self, form='matrix')}$$"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rewriting that took place during a derivation.

    Attributes
    ----------
    rule
        Its name: ``chain rule``, ``derivative``, ``delta``, ``reuse``, ``identity``, …
    target
        Name of the tensor whose statement changed.
    indices
        The free indices of `before` and `after`.
    before, after
        The expression on both sides; equal in value. The first step of a gradient ``dX``
        starts from its own entry ``dX[p]``; steps may hold `Partial` and Kronecker deltas.
    reason
        What makes it right: the statement, assumption or proof it rests on.
    uses
        Names of the statements that it rests on.
    """

    rule: str
    target: str
    indices: tuple[Symbol, ...]
    before: Expr
    after: Expr
    reason: str
    uses: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write the step on one line: rule, both sides, reason."""
        from derive.printing import expression_text

        sides = (expression_text(side, self.indices) for side in (self.before, self.after))
        return f"{self.rule}: {' = '.join(sides)}  ({self.reason})"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Statements in SSA order, with what they are given and what is asked of them.

    Attributes
    ----------
    inputs
        Tensors that are given: data and parameters.
    parameters
        Names of those inputs that are trained.
    statements
        In an order in which each reads only what stands before it.
    outputs
        Names of the results.
    cotangents
        Pairs ``(name, name of its gradient)`` once a programme has been differentiated.
    tangents
        Pairs ``(name, name of its derivative along the direction v)`` once a gradient
        programme has been differentiated again.
    assumptions
        What the statements take for granted about the inputs, such as `ONE_HOT`.
    steps
        How the statements came about; empty for what was written down as a definition.
    """

    inputs: tuple[Tensor, ...]
    parameters: tuple[str, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]
    cotangents: tuple[tuple[str, str], ...] = ()
    tangents: tuple[tuple[str, str], ...] = ()
    assumptions: tuple[str, ...] = ()
    steps: tuple[Step, ...] = field(default=(), compare=False)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by name, inputs first."""
        written = (statement.target for statement in self.statements)
        return {tensor.name: tensor for tensor in (*self.inputs, *written)}

    def statement(self, name: str) -> Statement:
        """Return the statement that writes `name`."""
        for statement in self.statements:
            if statement.name == name:
                return statement
        raise InternalError(f"no statement writes {name}")

    @property
    def forward(self) -> tuple[Statement, ...]:
        """The statements that were there before differentiation."""
        derived = {name for _, name in (*self.cotangents, *self.tangents)}
        return tuple(s for s in self.statements if s.name not in derived)

    @property
    def backward(self) -> tuple[Statement, ...]:
        """The statements that differentiation added."""
        gradients = {gradient for _, gradient in self.cotangents}
        return tuple(s for s in self.statements if s.name in gradients)

    @property
    def second_order(self) -> tuple[Statement, ...]:
        """The statements that differentiation along a direction added."""
        tangents = {tangent for _, tangent in self.tangents}
        return tuple(s for s in self.statements if s.name in tangents)

    @property
    def gradients(self) -> dict[str, str]:
        """Name of the gradient by name of the parameter, in the parameters' order."""
        of = dict(self.cotangents)
        return {name: of[name] for name in self.parameters if name in of}

    @property
    def hessian_products(self) -> dict[str, str]:
        """Name of the Hessian times the direction by name of the parameter, in their order."""
        along = dict(self.tangents)
        gradients = self.gradients.items()
        return {name: along[gradient] for name, gradient in gradients if gradient in along}

    def to_sympy(self) -> dict[str, Eq]:
        """Return every statement by name as an equation of SymPy."""
        return {statement.name: statement.to_sympy() for statement in self.statements}

    def evaluate(
        self, values: Mapping[str, Any], *, dtype: "DTypeLike" = "float64"
    ) -> "dict[str, NDArray[Any]]":
        """Return the value of every statement by name; `derive.evaluate.evaluate` says more.

        What the programme assumes of its inputs is checked.

        Examples
        --------
        >>> import numpy as np
        >>> import derive
        >>> program = derive.gradient_program(derive.loss_program("nx-ny"))
        >>> values = {"X": np.eye(2), "Y": np.eye(2), "W1": np.eye(2), "b1": np.zeros(2)}
        >>> print(program.evaluate(values)["db1"].round(6))
        [0. 0.]
        """
        from derive.evaluate import check_assumptions, evaluate

        results = evaluate(self, values, dtype=dtype)
        check_assumptions(self, values)
        return results

    def __str__(self) -> str:
        """Write the programme, one statement a line."""
        from derive.printing import program_text

        return program_text(self)

    def _repr_latex_(self) -> str:
        from derive.printing import program_latex

        return f"$${program_latex(self)}$$"

    def _repr_html_(self) -> str:
        from derive.html_report import program_html

        return program_html(self)


def shape_of(entries: Iterable[int | str | Expr]) -> tuple[Expr, ...]:
    """Return a shape from integers, names and SymPy sizes."""
    return tuple(size(e) if isinstance(e, int | str) else sympify(e, strict=True) for e in entries)
