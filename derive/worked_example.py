"""A small network worked by hand: exact fractions as long as the arithmetic is rational.

Each entry of each statement is written with numbers in the place of what it reads. What is a
rational number stays one, exactly. What is not, such as ``tanh(1/4)``, is known from there on
by its name, ``H1[1,1]``: linear parts keep their exact coefficients, and beside them stands a
decimal, rounded from 50 digits.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, final

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Float, Indexed, Integer, Rational, Symbol

from derive.errors import InternalError
from derive.high_precision import precise_values
from derive.index_form import IndexWriter
from derive.notation import Notation, Piece
from derive.ordering import legible, pulled_sums
from derive.program import MaxOver, Program, Statement, Sum, base, tensor_of
from derive.spec import NetworkSpec

Array = NDArray[Any]
Place = tuple[int, ...]
Values = Mapping[str, Array]

SAMPLES = 2  # so that the mean over the batch has something to do
_MOST_INPUTS = _MOST_OUTPUTS = 2
_LONE_HIDDEN, _MOST_HIDDEN = 3, 2
_DIGITS = 50  # of the decimals before they are rounded
_SHOWN = 5  # significant digits of a decimal
_ATTEMPTS = 50
_LARGEST = 20.0  # of a good example's values
_SMALLEST = 1e-3  # of what is not 0 in one

# quarters and halves: exact in floating point too, for whoever checks by machine
_OF_INPUTS = ("-1", "-1/2", "1/2", "1", "2")
_OF_PARAMETERS = ("-1", "-1/2", "-1/4", "1/4", "1/2", "1")
_REAL_TARGETS = ("mse", "mae", "huber")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a statement, worked.

    Attributes
    ----------
    statement
        What defines it.
    place
        Its indices, from 0.
    exact
        Its value if that is rational, else None.
    decimal
        Its value in 50 digits, of mpmath.
    """

    statement: Statement
    place: Place
    exact: Rational | None
    decimal: Any


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedExample:
    """A network small enough for paper, with numbers.

    Attributes
    ----------
    spec
        The small network; `small_network` says what it has of the one it stands for.
    program
        Its statements.
    inputs
        Rational numbers of SymPy for every input, by name.
    entries
        Every entry of every statement by name and place, in the order in which they are
        worked.
    """

    spec: NetworkSpec
    program: Program
    inputs: dict[str, Array]
    entries: dict[tuple[str, Place], Entry]

    def of(self, statement: Statement) -> list[Entry]:
        """Return the entries of a statement."""
        return [entry for (name, _), entry in self.entries.items() if name == statement.name]

    def substituted(self, entry: Entry, notation: Notation) -> Piece:
        """Write what an entry is defined as, with numbers for what it reads."""
        statement = entry.statement
        at = dict(zip(statement.indices, entry.place, strict=True))
        body = _in_order(statement.body)
        return _ByHand(statement, notation.dotted(), self, at).piece(body)

    def value(self, entry: Entry, notation: Notation) -> str:
        """Write an entry's value with its sign of equality: ``= 1/4`` or ``≈ 0.24492``."""
        if entry.exact is not None:
            return notation.equals_sign + notation.signed(notation.number(entry.exact))
        return notation.approximately_sign + notation.signed(notation.number(rounded(entry)))

    def known(self, name: str, place: Place) -> Rational | None:
        """Return a rational value that is known by then, None for any other."""
        if name in self.inputs:
            exact: Rational = self.inputs[name][place]
            return exact
        return self.entries[name, place].exact


def rounded(entry: Entry) -> Float:
    """Return a value to five significant digits."""
    return Float(mpmath.nstr(entry.decimal, _SHOWN))


def small_network(spec: NetworkSpec) -> NetworkSpec:
    """Return a network of the same depth, functions and loss, with a few units in each layer.

    At most 2 inputs and 2 outputs, and 3 units in a single hidden layer, 2 in each of several.
    """
    hidden = _LONE_HIDDEN if spec.depth == 2 else _MOST_HIDDEN
    most = [_MOST_INPUTS, *[hidden] * (spec.depth - 1), _MOST_OUTPUTS]
    sizes = (
        limit if isinstance(size, str) else min(size, limit)
        for size, limit in zip(spec.sizes, most, strict=True)
    )
    return replace(spec, sizes=tuple(sizes))


def worked_example(spec: NetworkSpec, program: Program, *, seed: int = 0) -> WorkedExample | None:
    """Work a small network with numbers that are drawn.

    Parameters
    ----------
    spec
        A network with numbers as sizes, such as `small_network` gives.
    program
        Its gradients, the result of `derive.rewrite_program`, under any names.
    seed
        Draws the numbers.

    Returns
    -------
    WorkedExample or None
        None if the loss of none of the numbers that were drawn is a real number.
    """
    source = random.Random(seed)  # an example, no secret
    best: tuple[int, dict[str, Array]] | None = None
    for _ in range(_ATTEMPTS):
        inputs = _drawn(spec, program, source)
        quality = _quality(program, inputs)
        if quality is not None and (best is None or quality > best[0]):
            best = quality, inputs
        if best and best[0] == len(program.gradients) + len(program.forward) + 1:
            break
    return None if best is None else _worked(spec, program, best[1])


def _drawn(spec: NetworkSpec, program: Program, source: random.Random) -> dict[str, Array]:
    drawn = {}
    for tensor in program.inputs:
        shape = tuple(int(e) if e.is_Integer else SAMPLES for e in tensor.shape)
        if tensor.name == "Y" and spec.loss not in _REAL_TARGETS:
            drawn["Y"] = _labels(*shape)
            continue
        numbers = _OF_PARAMETERS if tensor.name in program.parameters else _OF_INPUTS
        array = np.empty(shape, object)
        for place in np.ndindex(*shape):
            array[place] = Rational(numbers[int(source.random() * len(numbers))])
        drawn[tensor.name] = array
    return drawn


def _labels(samples: int, classes: int) -> Array:
    """Return classes in turn: one-hot rows, or 0 and 1 for a single output."""
    labels = np.empty((samples, classes), object)
    for i, j in np.ndindex(samples, classes):
        is_class = i % 2 == 1 if classes == 1 else i % classes == j
        labels[i, j] = Integer(is_class)
    return labels


def _quality(program: Program, inputs: Values) -> int | None:
    """Return how good an example is, None if it is none.

    One for each gradient that is not 0, so that relu is not off everywhere; one for each
    forward value whose entries all differ, so that none may be taken for another; and one if
    no value is awkward on paper.
    """
    values = program.evaluate({name: array.astype(float) for name, array in inputs.items()})
    sizes = np.concatenate([np.abs(value).ravel() for value in values.values()])
    if not np.isfinite(sizes).all():
        return None
    moving = sum(bool(values[gradient].any()) for gradient in program.gradients.values())
    forward = (values[statement.name].round(9) for statement in program.forward)
    different = sum(len(np.unique(value)) == value.size for value in forward)
    handy = sizes.max() <= _LARGEST and bool((sizes[sizes > 0] >= _SMALLEST).all())
    return moving + different + handy


def _worked(spec: NetworkSpec, program: Program, inputs: dict[str, Array]) -> WorkedExample:
    floats = {name: array.astype(float) for name, array in inputs.items()}
    precise = precise_values(program, floats, batch=SAMPLES, digits=_DIGITS)
    entries: dict[tuple[str, Place], Entry] = {}
    example = WorkedExample(spec=spec, program=program, inputs=inputs, entries=entries)
    for statement in program.statements:
        for place, at in _places(statement):
            decimal = precise[statement.name][place]
            if decimal is None:
                raise InternalError(f"{statement.name} at {place} is no real number")
            exact = _Exact(example, precise).value(statement.body, at)
            entries[statement.name, place] = Entry(
                statement=statement,
                place=place,
                exact=exact if exact.is_Rational else None,
                decimal=decimal,
            )
    return example


def _places(statement: Statement) -> Iterator[tuple[Place, dict[Symbol, int]]]:
    ranges = (range(_length(extent)) for extent in statement.target.shape)
    for place in itertools.product(*ranges):
        yield place, dict(zip(statement.indices, place, strict=True))


def _length(extent: Expr) -> int:
    return int(extent) if extent.is_Integer else SAMPLES


def _within(total: Sum, at: Mapping[Symbol, int]) -> Iterator[dict[Symbol, int]]:
    """Yield the places of the terms of a sum, the outermost index slowest."""
    limits = total.limits[::-1]
    for place in itertools.product(*(range(_length(last + 1)) for _, _, last in limits)):
        yield {**at, **{limit[0]: k for limit, k in zip(limits, place, strict=True)}}


def _place(read: Expr, at: Mapping[Symbol, int]) -> Place:
    return tuple(int(at.get(index, index)) for index in read.indices)


@lru_cache(maxsize=256)
def _in_order(body: Expr) -> Expr:
    """Return a body as it is read, which takes SymPy a while."""
    return legible(pulled_sums(body))


class _Exact:
    """Evaluates bodies; a value that is no rational number stays a name."""

    def __init__(self, example: WorkedExample, precise: Values) -> None:
        self.example = example
        self.precise = precise

    def value(self, expression: Expr, at: Mapping[Symbol, int]) -> Expr:
        if isinstance(expression, Indexed):
            return self._read(tensor_of(expression), _place(expression, at))
        if isinstance(expression, Symbol):
            if expression.is_integer:
                return Integer(SAMPLES)
            return self._read(expression.name, ())
        if isinstance(expression, Sum):
            parts = [self.value(expression.function, inner) for inner in _within(expression, at)]
            return sympy.Add(*parts)
        if isinstance(expression, sympy.Piecewise):
            return self._branch(expression, at)
        if isinstance(expression, MaxOver):
            raise InternalError(f"{expression} is a form for machines, not for paper")
        if not expression.args:
            return expression
        return expression.func(*(self.value(part, at) for part in expression.args))

    def _read(self, name: str, place: Place) -> Expr:
        exact = self.example.known(name, place)
        return exact if exact is not None else base(name)[place or (0,)]

    def _branch(self, expression: sympy.Piecewise, at: Mapping[Symbol, int]) -> Expr:
        for branch, condition in expression.args:
            if condition == True:  # noqa: E712  # SymPy's true, not Python's
                return self.value(branch, at)
            left, right = (self.value(side, at) for side in condition.args)
            if bool(condition.func(self._number(left), self._number(right))):
                return self.value(branch, at)
        raise InternalError(f"{expression} has no branch for all other cases")

    def _number(self, value: Expr) -> Expr:
        """Return a value as a number: one that is not rational is never a tie in 50 digits."""
        known: dict[Expr, Expr] = {}
        for read in value.atoms(Indexed):
            array = self.precise[tensor_of(read)]
            place = tuple(int(k) for k in read.indices)[: array.ndim]
            known[read] = Float(array[place], _DIGITS)
        return value.xreplace(known) if known else value


class _ByHand(IndexWriter):
    """Writes a body with numbers for what it reads, and its sums term by term."""

    def __init__(
        self,
        statement: Statement,
        notation: Notation,
        example: WorkedExample,
        at: Mapping[Symbol, int],
    ) -> None:
        super().__init__(statement.indices, notation, {}, statement.indices)
        self.statement = statement
        self.example = example
        self.at = at

    def piece(self, expression: Expr) -> Piece:
        if isinstance(expression, Indexed):
            return self._read(tensor_of(expression), _place(expression, self.at))
        if isinstance(expression, Symbol):
            if expression.is_integer:
                return self.notation.number(Integer(SAMPLES))
            return self._read(expression.name, ())
        if isinstance(expression, Sum):
            terms = [
                _ByHand(self.statement, self.notation, self.example, inner).piece(
                    expression.function
                )
                for inner in _within(expression, self.at)
            ]
            return self.notation.add(terms) if len(terms) > 1 else terms[0]
        return super().piece(expression)

    def _read(self, name: str, place: Place) -> Piece:
        exact = self.example.known(name, place)
        if exact is None:
            return entry_piece(name, place, self.notation)
        return self.notation.number(exact)


def entry_piece(name: str, place: Place, notation: Notation) -> Piece:
    """Write an entry by its place, counted from 1."""
    return notation.entry(name, [notation.number(Integer(k + 1)).text for k in place])
