"""Matrix expressions as NumPy: ``dytilde.T @ outputs["h"]``, ``dh * (1 - outputs["h"] ** 2)``.

A row or column that is repeated stays as narrow as it is, and NumPy broadcasts it where it
meets a whole matrix; a product with ones is a sum. Tensors with one axis are columns (n, 1).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import reduce
from itertools import groupby, pairwise
from typing import SupportsFloat, assert_never, final

from codegen.errors import InternalError
from derive.matrix_expression import (
    Apply,
    Diagonal,
    Hadamard,
    MatMul,
    Matrix,
    Name,
    Number,
    Ones,
    Plus,
    Power,
    Quotient,
    Scaled,
    Size,
    Transpose,
    Where,
)

FUNCTIONS = {
    **{name: f"np.{name}" for name in ("exp", "log", "log1p", "expm1", "sqrt", "abs", "sign")},
    **{name: f"np.{name}" for name in ("sin", "cos", "tan", "tanh", "sinh", "cosh")},
    "atan": "np.arctan",
    "pow": "np.power",
    "erf": "_erf",  # NumPy has none: the lab module brings its own
    "max": "np.maximum",
    "min": "np.minimum",
}

Shape = tuple[str, str]
Place = Callable[[str], str]


class _Level(IntEnum):
    """How strongly a piece of source holds together."""

    COMPARISON = 0
    SUM = 1
    MATMUL = 2  # Python reads @ like *, and a reader should not have to know
    PRODUCT = 3
    POWER = 4
    ATOM = 5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """A piece of source, and the matrix that it stands for.

    Attributes
    ----------
    text
        Without the sign.
    shape
        The matrix's: rows and columns, each a number or ``B``.
    held
        The array's: ``"1"`` in place of an extent along which it is to be repeated.
    has_axes
        Whether it is an array with two axes, or a number.
    """

    text: str
    level: _Level = _Level.ATOM
    shape: Shape = ("1", "1")
    held: Shape = ("1", "1")
    has_axes: bool = False
    negative: bool = False

    @property
    def signed(self) -> str:
        """The text with its sign."""
        return f"-{self.at_least(_Level.PRODUCT)}" if self.negative else self.text

    def at_least(self, level: _Level) -> str:
        """Return the text without its sign, in brackets if it binds less than `level`."""
        return self.text if self.level >= level else f"({self.text})"

    def factor(self, level: _Level = _Level.POWER) -> str:
        """Return the text with its sign, in brackets if it binds less than `level`."""
        return f"({self.signed})" if self.negative else self.at_least(level)


def matrix_text(
    expression: Matrix,
    shape: tuple[str, ...],
    *,
    shapes: Mapping[str, tuple[str, ...]],
    place: Place,
    vectors: Collection[str] = (),
    zero_log: bool = True,
) -> str:
    """Return a matrix expression as NumPy source.

    Parameters
    ----------
    expression
        As `derive.matrix_form` returns it.
    shape
        What the value must have; a tensor with one axis is held as a column (n, 1).
    shapes
        The shape of every tensor that may be read.
    place
        Returns how a tensor is written.
    vectors
        Tensors with one axis that are held with one axis (n,), not as columns.
    zero_log
        Whether a factor ``log(x)`` is written ``_times_log(other factors, x)``, a function
        that the module has to provide: there, 0 · log 0 is 0.

    Raises
    ------
    InternalError
        For a function that NumPy does not have.
    """
    code = _Writer(shapes, place, vectors, zero_log=zero_log).code(expression)
    if shape:
        return _whole(code, _as_column(shape)).signed
    return f"{code.factor(_Level.ATOM)}[0, 0]" if code.has_axes else code.signed


@final
class _Writer:
    """Writes the expressions of one statement."""

    def __init__(
        self,
        shapes: Mapping[str, tuple[str, ...]],
        place: Place,
        vectors: Collection[str],
        *,
        zero_log: bool,
    ) -> None:
        self.shapes = shapes
        self.place = place
        self.vectors = vectors
        self.zero_log = zero_log

    def code(self, expression: Matrix) -> _Code:
        match expression:
            case Transpose(Name(name)) if name in self.vectors:  # as a row, it is as it lies
                return _array(self.place(name), ("1", self.shapes[name][0]))
            case Name(name) if name in self.vectors:
                return _array(f"{self.place(name)}[:, None]", (self.shapes[name][0], "1"))
            case Name(name):
                shape = self.shapes[name]
                written = self.place(name)
                return _array(written, _as_column(shape)) if shape else _Code(text=written)
            case Size(name):
                return _Code(text=name)
            case Number(value):
                return _Code(text=_literal(abs(value)), negative=bool(value.is_negative))
            case Ones(extent):
                return _Code(text="1", shape=(str(extent), "1"))
            case Transpose(operand):
                code = self.code(operand)
                text = f"{code.at_least(_Level.ATOM)}.T" if code.has_axes else code.text
                level = _Level.ATOM if code.has_axes else code.level
                shape, held = code.shape[::-1], code.held[::-1]
                return replace(code, text=text, level=level, shape=shape, held=held)
            case Diagonal(operand):
                column = _whole(self.code(operand))
                text = f"np.diag({column.factor(_Level.ATOM)}[:, 0])"
                return _array(text, (column.shape[0], column.shape[0]))
            case MatMul(factors):
                return self.matmul(factors)
            case Hadamard(factors):
                return self.hadamard(list(factors))
            case Quotient(numerator, denominator):
                above, below = self.code(numerator), self.code(denominator)
                text = f"{above.factor(_Level.PRODUCT)} / {below.factor()}"
                return _joined([above, below], text, _Level.PRODUCT)
            case Power(base, exponent):
                return _power(self.code(base), _literal(exponent))
            case Apply(function, operands):
                return _applied(function, [self.code(operand) for operand in operands])
            case Where(relation, left, right, then, otherwise):
                sides = [self.code(side) for side in (left, right, then, otherwise)]
                test = _compared(relation, *sides[:2])
                text = f"np.where({test}, {sides[2].signed}, {sides[3].signed})"
                return replace(_joined(sides, text), has_axes=any(s.has_axes for s in sides))
            case Plus(terms):
                codes = [self.code(term) for term in terms]
                text = codes[0].signed
                for code in codes[1:]:
                    text += f" {'-' if code.negative else '+'} {code.at_least(_Level.MATMUL)}"
                return _joined(codes, text, _Level.SUM)
            case Scaled():
                return self.scaled(expression)
            case _:
                assert_never(expression)

    def matmul(self, factors: tuple[Matrix, ...]) -> _Code:
        """Write a product; ones on its outside repeat, or sum."""
        first, *_, last = (*factors, None) if len(factors) == 1 else factors
        if last is None:
            return self.code(factors[0])
        if _is_row_of_ones(last):  # v 1ᵀ
            column, row = self.matmul(factors[:-1]), self.code(last)
            return replace(column, shape=(column.shape[0], row.shape[1]))
        if isinstance(first, Ones):  # 1 vᵀ
            row = self.matmul(factors[1:])
            return replace(row, shape=(str(first.extent), row.shape[1]))
        for n, (left, right) in enumerate(pairwise(factors), start=1):
            if isinstance(left, Ones) and _is_row_of_ones(right):  # (A 1) (1ᵀ B)
                sides = [self.matmul(factors[:n]), self.matmul(factors[n:])]
                text = " * ".join(side.factor() for side in sides)
                return _joined(sides, text, _Level.PRODUCT)
        down, across = _is_row_of_ones(first), isinstance(last, Ones)
        if down or across:
            inner = self.matmul(factors[int(down) : len(factors) - int(across)])
            return _summed(inner, down=down, across=across)
        return self.product(factors)

    def product(self, factors: tuple[Matrix, ...]) -> _Code:
        """Write a product without ones; a diagonal matrix scales the rows of what follows."""
        codes: list[_Code] = []
        for factor in reversed(factors):
            match factor:
                case Diagonal(operand) if codes:
                    pair = [self.code(operand), codes.pop()]
                    text = f"{pair[0].factor(_Level.PRODUCT)} * {pair[1].factor()}"
                    codes.append(_joined(pair, text, _Level.PRODUCT))
                case _:
                    codes.append(_whole(self.code(factor)))
        if len(codes) == 1:
            return codes[0]
        codes.reverse()
        text = " @ ".join(code.factor() for code in codes)
        return _array(text, (codes[0].shape[0], codes[-1].shape[1]), _Level.MATMUL)

    def hadamard(self, factors: list[Matrix]) -> _Code:
        for n, factor in enumerate(factors):
            is_log = isinstance(factor, Apply) and factor.function == "log"
            if self.zero_log and is_log and len(factors) > 1:
                assert isinstance(factor, Apply)
                rest = self.hadamard(factors[:n] + factors[n + 1 :])
                operand = self.code(factor.operands[0])
                text = f"_times_log({rest.signed}, {operand.signed})"
                return _joined([rest, operand], text)
        # as a factor, true is 1 and false is 0, and the type stays what it is
        masks = not all(map(_is_mask, factors))
        codes = []
        for factor, same in groupby(factors):
            code = self.mask(factor) if masks and _is_mask(factor) else self.code(factor)
            times = len(list(same))
            codes.append(_power(code, str(times)) if times > 1 else code)
        if len(codes) == 1:
            return codes[0]
        text = " * ".join([codes[0].factor(_Level.PRODUCT), *(c.factor() for c in codes[1:])])
        return _joined(codes, text, _Level.PRODUCT)

    def mask(self, factor: Matrix) -> _Code:
        """Write ``where(a > b, 1, 0)`` as ``a > b``."""
        assert isinstance(factor, Where)
        sides = [self.code(factor.left), self.code(factor.right)]
        return _joined(sides, _compared(factor.relation, *sides), _Level.COMPARISON)

    def scaled(self, expression: Scaled) -> _Code:
        codes = [self.code(scalar) for scalar in expression.scalars]
        if expression.operand is not None:
            codes.append(self.code(expression.operand))
        divisors = [self.code(divisor) for divisor in expression.divisors]
        size = abs(expression.number)
        over, under = (size.p, size.q) if size.is_Rational else (size, 1)
        above = ([_Code(text=_literal(over))] if over != 1 or not codes else []) + codes
        below = ([_Code(text=_literal(under))] if under != 1 else []) + divisors
        negative = bool(expression.number.is_negative)
        if not below and len(above) == 1:
            return replace(above[0], negative=negative != above[0].negative)
        text = " * ".join([above[0].factor(_Level.PRODUCT), *(c.factor() for c in above[1:])])
        if below:
            divisor = " * ".join(code.factor() for code in below)
            text += f" / {divisor}" if len(below) == 1 else f" / ({divisor})"
        return replace(_joined([*above, *below], text, _Level.PRODUCT), negative=negative)


def _is_row_of_ones(factor: Matrix) -> bool:
    return isinstance(factor, Transpose) and isinstance(factor.operand, Ones)


def _is_mask(factor: Matrix) -> bool:
    """Whether a factor is 1 where a comparison holds, and 0 elsewhere."""
    match factor:
        case Where(then=Number(one), otherwise=Number(zero)):
            return bool(one == 1 and zero == 0)
        case _:
            return False


def _applied(function: str, operands: list[_Code]) -> _Code:
    if function not in FUNCTIONS:
        raise InternalError(f"the function {function} has no form in NumPy")
    name = FUNCTIONS[function]
    if len(operands) == 1:
        return _joined(operands, f"{name}({operands[0].signed})")
    written = (operand.signed for operand in operands)
    return _joined(operands, reduce(lambda a, b: f"{name}({a}, {b})", written))


def _power(base: _Code, exponent: str) -> _Code:
    return _joined([base], f"{base.factor(_Level.ATOM)} ** {exponent}", _Level.POWER)


def _compared(relation: str, left: _Code, right: _Code) -> str:
    return f"{left.factor(_Level.SUM)} {relation} {right.factor(_Level.SUM)}"


def _summed(inner: _Code, *, down: bool, across: bool) -> _Code:
    """Return the sum over rows, over columns, or over both as a number."""
    inner = _whole(inner)
    rows, columns = inner.shape
    text = inner.at_least(_Level.ATOM)
    if down and across:
        summed = _Code(text=f"{text}.sum()")
    elif down:
        summed = _array(f"{text}.sum(axis=0, keepdims=True)", ("1", columns))
    elif text.endswith(".T"):
        summed = _array(f"{text[:-2]}.sum(axis=0, keepdims=True).T", (rows, "1"))
    else:
        summed = _array(f"{text}.sum(axis=1, keepdims=True)", (rows, "1"))
    return replace(summed, negative=inner.negative)


def _whole(code: _Code, shape: Shape | None = None) -> _Code:
    """Return an array that has the whole shape, not one that is to be repeated."""
    rows, columns = shape = shape or code.shape
    if not code.has_axes:
        return _array(f"np.full(({rows}, {columns}), {code.signed})", shape)
    for axis, (held, extent) in enumerate(zip(code.held, shape, strict=True)):
        if held != extent:
            code = _array(f"np.repeat({code.signed}, {extent}, axis={axis})", shape)
    return code


def _joined(parts: Sequence[_Code], text: str, level: _Level = _Level.ATOM) -> _Code:
    """Return what is computed entry by entry from parts that NumPy broadcasts."""
    return _Code(
        text=text,
        level=level,
        shape=_broadcast([part.shape for part in parts]),
        held=_broadcast([part.held for part in parts]),
        has_axes=any(part.has_axes for part in parts),
    )


def _broadcast(shapes: list[Shape]) -> Shape:
    rows = next((shape[0] for shape in shapes if shape[0] != "1"), "1")
    columns = next((shape[1] for shape in shapes if shape[1] != "1"), "1")
    return rows, columns


def _array(text: str, shape: Shape, level: _Level = _Level.ATOM) -> _Code:
    return _Code(text=text, level=level, shape=shape, held=shape, has_axes=True)


def _literal(value: SupportsFloat) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def _as_column(shape: tuple[str, ...]) -> Shape:
    return (shape[0], "1") if len(shape) == 1 else (shape[0], shape[1])


__all__ = ["FUNCTIONS", "matrix_text"]
