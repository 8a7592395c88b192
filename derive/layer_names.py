"""Names with a layer in them: ``W_{ℓ+1}`` at ℓ = 2 is ``W3``, and the way back.

A layer is a letter and a distance from it. The letter is ℓ, any hidden layer, or N, the
number of hidden layers, so that N + 1 is the output layer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sympy import Expr, Indexed, Symbol

from derive.program import (
    Program,
    Statement,
    Tensor,
    base,
    indices_of,
    occurrences,
    scalar,
    size,
    tensor_of,
)

LAYER, DEPTH = "ℓ", "N"

_NUMBERED = re.compile(r"([A-Za-z]+)(\d+)")
_LETTERED = re.compile(r"([A-Za-z]+)_(?:([ℓN])|\{([ℓN])([+−]\d+)\})")
_WORD = re.compile(r"\w+(?:\{[^}]*\})?")


def in_layer(stem: str, letter: str, distance: int = 0) -> str:
    """Return the name of a layer's tensor or size: ``W_ℓ``, ``n_{N+1}``."""
    if distance == 0:
        return f"{stem}_{letter}"
    return f"{stem}_{{{letter}{'+' if distance > 0 else '−'}{abs(distance)}}}"


def lettered(names: Iterable[str], letter: str, first: int) -> dict[str, str]:
    """Return what numbered names are where `letter` stands for layer `first`; X is H0."""
    found: dict[str, str] = {}
    for name in names:
        parts = _NUMBERED.fullmatch("H0" if name == "X" else name)
        if parts is not None:
            found[name] = in_layer(parts[1], letter, int(parts[2]) - first)
    return found


def numbered(names: Iterable[str], values: Mapping[str, int]) -> dict[str, str]:
    """Return what lettered names are where each letter is a number; H0 is X."""
    found: dict[str, str] = {}
    for name in names:
        parts = _LETTERED.fullmatch(name)
        if parts is None:
            continue
        letter = parts[2] or parts[3]
        if letter in values:
            number = values[letter] + int((parts[4] or "0").replace("−", "-"))
            found[name] = "X" if (parts[1], number) == ("H", 0) else f"{parts[1]}{number}"
    return found


def names_in(program: Program) -> tuple[str, ...]:
    """Return the names of the tensors and sizes of a programme, in order."""
    tensors = program.tensors().values()
    sizes = (str(extent) for tensor in tensors for extent in tensor.shape if extent.is_Symbol)
    return tuple(dict.fromkeys((*(tensor.name for tensor in tensors), *sizes)))


def renamed(program: Program, names: Mapping[str, str]) -> Program:
    """Return a programme with other names for tensors and sizes; its steps are left out."""

    def prose(text: str) -> str:
        return _WORD.sub(lambda word: names.get(word[0], word[0]), text)

    def extent(old: Expr) -> Expr:
        return size(names.get(old.name, old.name)) if isinstance(old, Symbol) else old

    def tensor(old: Tensor) -> Tensor:
        shape = tuple(extent(axis) for axis in old.shape)
        return Tensor(name=names.get(old.name, old.name), shape=shape)

    def statement(old: Statement) -> Statement:
        body = _renamed(old.body, names)
        origin = tuple(prose(line) for line in old.origin)
        return replace(old, target=tensor(old.target), body=body, origin=origin)

    return Program(
        inputs=tuple(tensor(given) for given in program.inputs),
        parameters=tuple(names.get(name, name) for name in program.parameters),
        statements=tuple(statement(old) for old in program.statements),
        outputs=tuple(names.get(name, name) for name in program.outputs),
        cotangents=tuple((names.get(a, a), names.get(b, b)) for a, b in program.cotangents),
        assumptions=program.assumptions,
    )


def _renamed(expression: Expr, names: Mapping[str, str]) -> Expr:
    new: dict[Expr, Expr] = {}
    for read in occurrences(expression):
        name = names.get(tensor_of(read), tensor_of(read))
        new[read] = base(name)[indices_of(read)] if isinstance(read, Indexed) else scalar(name)
    for symbol in expression.atoms(Symbol):
        if symbol.is_integer and symbol.is_positive and symbol.name in names:
            new[symbol] = size(names[symbol.name])
    return expression.xreplace(new)
