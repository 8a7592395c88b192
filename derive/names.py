"""The lab's names and shapes: ``Wh bh Wy by htilde h ytilde yhat``, biases ``(nh, 1)``."""

import re
from dataclasses import replace

from sympy import Expr, Indexed, Integer, Symbol

from derive.check import check_program
from derive.errors import InternalError
from derive.indices import canonical, target_indices
from derive.program import (
    Program,
    Statement,
    Step,
    Tensor,
    base,
    indices_of,
    occurrences,
    scalar,
    tensor_of,
)

_LAYER = re.compile(r"W(\d+)")
_WORD = re.compile(r"\b[A-Za-z]\w*\b")
_DERIVED = ("", "d", "v", "h")  # a value, its gradient, and how the two change along a direction


def lab_names(program: Program) -> Program:
    """Return a network's programme under the lab's names.

    Parameters
    ----------
    program
        A programme made from that of `derive.loss_program`: L layers ``W{l}``, ``b{l}``,
        ``Z{l}``, ``H{l}`` and the output ``P``.

    Returns
    -------
    Program
        The same statements. Layer L is ``Wy by ytilde yhat``; a single hidden layer is
        ``Wh bh htilde h``, several are numbered, ``Wh1 bh1 htilde1 h1``, …; gradients are
        ``d`` and the name, and in second order changes are ``v`` and ``h`` and the name.
        Biases and what belongs to them have shape ``(n, 1)``. All other names stay.

    Raises
    ------
    InternalError
        If a name of the lab is taken by another tensor.
    """
    depth = sum(1 for name in program.parameters if _LAYER.fullmatch(name))
    plain = _names(depth)
    names = {f"{d}{old}": f"{d}{new}" for d in _DERIVED for old, new in plain.items()}
    clash = set(names.values()) & (program.tensors().keys() - names.keys())
    if clash:
        raise InternalError(f"the lab's name {min(clash)} is taken by another tensor")
    return _Renaming(names, _columns(depth)).program(program)


def _names(depth: int) -> dict[str, str]:
    """Return the lab's name of each tensor of a network of that depth."""
    names = {}
    for layer in range(1, depth + 1):
        last = layer == depth
        unit = "y" if last else "h"
        number = str(layer) if not last and depth > 2 else ""
        names[f"W{layer}"] = f"W{unit}{number}"
        names[f"b{layer}"] = f"b{unit}{number}"
        names[f"Z{layer}"] = f"{unit}tilde{number}"
        names["P" if last else f"H{layer}"] = "yhat" if last else f"h{number}"
    return names


def _columns(depth: int) -> set[str]:
    """Return the tensors with one axis that the lab keeps as columns."""
    return {f"{d}b{layer}" for layer in range(1, depth + 1) for d in _DERIVED}


class _Renaming:
    """Puts new names, and columns for vectors, into every part of a programme."""

    def __init__(self, names: dict[str, str], columns: set[str]) -> None:
        self.names = names
        self.columns = columns

    def program(self, program: Program) -> Program:
        return check_program(
            Program(
                inputs=tuple(self.tensor(tensor) for tensor in program.inputs),
                parameters=tuple(map(self.name, program.parameters)),
                statements=tuple(self.statement(s) for s in program.statements),
                outputs=tuple(map(self.name, program.outputs)),
                cotangents=tuple(
                    (self.name(name), self.name(grad)) for name, grad in program.cotangents
                ),
                tangents=tuple(
                    (self.name(name), self.name(tangent)) for name, tangent in program.tangents
                ),
                assumptions=tuple(map(self.prose, program.assumptions)),
                steps=tuple(self.step(step) for step in program.steps),
            )
        )

    def name(self, name: str) -> str:
        stem, underscore, part = name.partition("_")  # Z2_max is a part of Z2's computation
        return self.names.get(stem, stem) + underscore + part

    def tensor(self, tensor: Tensor) -> Tensor:
        shape = tensor.shape
        if tensor.name in self.columns and len(shape) == 1:
            shape = (*shape, Integer(1))
        return replace(tensor, name=self.name(tensor.name), shape=shape)

    def statement(self, statement: Statement) -> Statement:
        target = self.tensor(statement.target)
        indices = statement.indices
        if len(target.shape) > len(indices):
            indices = self._with_column(indices, statement.target.shape)
        return Statement(
            target=target,
            indices=indices,
            body=canonical(self.expression(statement.body), indices),
            origin=tuple(map(self.prose, statement.origin)),
        )

    def step(self, step: Step) -> Step:
        return replace(
            step,
            target=self.name(step.target),
            before=self.expression(step.before),
            after=self.expression(step.after),
            reason=self.prose(step.reason),
            uses=tuple(map(self.name, step.uses)),
        )

    def expression(self, expression: Expr) -> Expr:
        return expression.xreplace({read: self._read(read) for read in occurrences(expression)})

    def prose(self, text: str) -> str:
        return _WORD.sub(lambda word: self.name(word[0]), text)

    def _read(self, read: Expr) -> Expr:
        old = tensor_of(read)
        if not isinstance(read, Indexed):
            return scalar(self.name(old))
        indices = indices_of(read)
        if old in self.columns and len(indices) == 1:
            indices = (*indices, Integer(0))
        return base(self.name(old))[indices]

    def _with_column(
        self, indices: tuple[Symbol, ...], shape: tuple[Expr, ...]
    ) -> tuple[Symbol, ...]:
        """Return the indices with one more, for the axis of length 1."""
        return (*indices, target_indices((*shape, Integer(1)))[-1])
