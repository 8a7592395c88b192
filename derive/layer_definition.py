"""How a layer is written down: inputs, parameters, and definitions in index notation.

    layer = LayerDefinition()
    X, W = layer.input("X", BATCH, n), layer.parameter("W", m, n)
    P = layer.value("P", (BATCH, m), lambda i, j: total(n, lambda k: X[i, k] * W[j, k]), "map")
    return layer.program(P)

A definition is a function from indices to an expression; nothing else is ever told about a
layer, and no derivative is.
"""

from collections.abc import Callable
from typing import final

from sympy import Expr, Rational

from derive.check import check_program
from derive.errors import InputError
from derive.indices import canonical, fresh, target_indices
from derive.program import Program, Statement, Sum, Tensor, size

SizeLike = int | str


@final
class LayerDefinition:
    """The inputs, parameters and statements of a layer while it is written down."""

    def __init__(self) -> None:
        self._inputs: list[Tensor] = []
        self._parameters: list[Tensor] = []
        self._statements: list[Statement] = []

    def input(self, name: str, *shape: Expr) -> Tensor:
        """Declare a tensor that is given: data."""
        self._inputs.append(Tensor(name=name, shape=shape))
        return self._inputs[-1]

    def parameter(self, name: str, *shape: Expr) -> Tensor:
        """Declare a tensor that is given and trained."""
        self._parameters.append(Tensor(name=name, shape=shape))
        return self._parameters[-1]

    def value(
        self, name: str, shape: tuple[Expr, ...], entry: Callable[..., Expr], what: str
    ) -> Tensor:
        """Define a tensor by its entry at given indices, and return it."""
        target = Tensor(name=name, shape=shape)
        indices = target_indices(shape)
        body = canonical(entry(*indices), indices)
        origin = (f"definition: {what}",)
        self._statements.append(Statement(target=target, indices=indices, body=body, origin=origin))
        return target

    def program(self, output: Tensor) -> Program:
        """Return the programme, with ``loss``, the sum of the output's entries times `R`.

        So ``R`` is the gradient of the loss in the output: with a random ``R``, the other
        gradients are the layer's whole vector-Jacobian product.
        """
        R = self.input("R", *output.shape)
        weighted = total(output.shape, lambda *at: R[at] * output[at])
        self.value("loss", (), lambda: weighted, "weighted sum of the output")
        program = Program(
            inputs=(*self._inputs, *self._parameters),
            parameters=tuple(parameter.name for parameter in self._parameters),
            statements=tuple(self._statements),
            outputs=(output.name, "loss"),
        )
        _refuse_shared_names(program)
        return check_program(program)


def total(extents: Expr | tuple[Expr, ...], term: Callable[..., Expr]) -> Expr:
    """Return the sum of `term` over an index for each extent, the last one innermost."""
    given = extents if isinstance(extents, tuple) else (extents,)
    ranges = [(fresh(), 0, extent - 1) for extent in given]
    return Sum(term(*(k for k, _, _ in ranges)), *reversed(ranges))


def checked_size(what: str, value: SizeLike) -> Expr:
    """Return a size of a layer: a positive integer or a name.

    Raises
    ------
    InputError
        If it is neither.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    is_name = isinstance(value, str) and value.isascii() and value.isidentifier()
    if not (is_number or is_name):
        raise InputError(f"{what}: {value!r} is no size. Give a positive integer or a name.")
    return size(value)


def exact(value: float) -> Rational:
    """Return the decimal that was written, as 1/10 for 0.1."""
    return Rational(repr(value))


def _refuse_shared_names(program: Program) -> None:
    tensors = program.tensors()
    for tensor in program.inputs:
        for extent in tensor.shape:
            if str(extent) in tensors:
                raise InputError(f"{extent} is a tensor of this layer. Give the size another name.")
