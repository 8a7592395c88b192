"""Kernel values as C: expressions of vectors, or of numbers where no sample is read."""

import re

from codegen.emit.c_functions import literal
from codegen.emit.values import Place, text
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Argument,
    Call,
    Dtype,
    KernelProgram,
    Load,
    Select,
    Value,
    parts,
    rebuild,
)

_TYPED = re.compile(r"\bT\((-?[0-9.einfa+-]+)\)")  # a constant, as `text` writes it


class Writer:
    """Writes the values of one programme."""

    def __init__(self, program: KernelProgram, place: Place) -> None:
        self.dtype: Dtype = program.dtype
        self.by_sample = {b.name for b in program.buffers if BATCH in b.shape}
        self.place = place

    def is_vector(self, value: Value) -> bool:
        """Whether a value is written as a vector: it differs by sample, or calls a function."""
        match value:
            case Load(buffer=name) | Argument(name=name):
                return name in self.by_sample
            case Call() | Select():
                return True
            case _:
                return any(map(self.is_vector, parts(value)))

    def text(self, value: Value) -> str:
        """Return a value as it is: a vector, or a number."""
        written = text(self._in_c(value), self.place)
        return _TYPED.sub(lambda found: literal(float(found[1]), self.dtype), written)

    def vector(self, value: Value) -> str:
        """Return a value where a vector must stand."""
        written = self.text(value)
        return written if self.is_vector(value) else f"v_all({written})"

    def number(self, value: Value) -> str:
        """Return a value that does not depend on the sample, where a number must stand."""
        written = self.text(value)
        return f"v_first({written})" if self.is_vector(value) else written

    def _in_c(self, value: Value) -> Value:
        """Write functions and selections by the names that they have in C."""
        match value:
            case Call(function=function, arguments=arguments):
                return Call(f"v_{function}", tuple(map(self._whole, arguments)))
            case Select(op=op, left=left, right=right, then=then, otherwise=otherwise):
                test = Call(op, (self._whole(left), self._in_c(right)))
                return Call("v_where", (test, self._whole(then), self._whole(otherwise)))
            case _:
                return rebuild(value, tuple(map(self._in_c, parts(value))))

    def _whole(self, value: Value) -> Value:
        written = self._in_c(value)
        return written if self.is_vector(value) else Call("v_all", (written,))


def in_numbers(value: Value, dtype: Dtype, place: Place) -> str:
    """Return a value of numbers alone: C's own functions, and ``?:`` where it selects.

    Raises
    ------
    InternalError
        If it selects inside of an operation.
    """
    match value:
        case Select(op=op, left=left, right=right, then=then, otherwise=otherwise):
            first, second, one, other = (
                in_numbers(part, dtype, place) for part in (left, right, then, otherwise)
            )
            return f"{first} {op} {second} ? {one} : {other}"
        case _:
            written = text(_of_library(value, dtype), place)
            return _TYPED.sub(lambda found: literal(float(found[1]), dtype), written)


def _of_library(value: Value, dtype: Dtype) -> Value:
    inner = tuple(_of_library(part, dtype) for part in parts(value))
    match value:
        case Call(function=function):
            return Call(function + ("f" if dtype == "float32" else ""), inner)
        case Select():
            raise InternalError(f"{value} selects inside of an operation")
        case _:
            return rebuild(value, inner)


def functions(value: Value) -> set[str]:
    """Return the elementary functions that a value calls."""
    own = {value.function} if isinstance(value, Call) else set()
    return own.union(*map(functions, parts(value)))
