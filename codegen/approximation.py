"""Elementary functions in plain arithmetic, which LLVM turns into vector instructions.

Numba's own ``math.exp`` and ``math.tanh`` call the C library once per number. The functions
here are sums, products, a division, integer operations on the bits, and selections; a
loop over them is compiled to vector instructions on any processor. Their source is pasted
into the emitted module, for one dtype, under the function's plain name.

The polynomials' coefficients are written down nowhere: `codegen.remez` computes them when
code is generated, and they are rounded to the dtype once. A new function is one builder in
`codegen.elementary`, a line in `_BUILDERS`, and its errors in ``errors.json``: `make ulp`.

What every function keeps to, and why
-------------------------------------
- ``fastmath=False``, and not left out, since then a caller's flags would hold here, too:
  ``reassoc`` deletes ``(x + M) − M``, ``nsz`` loses ``tanh(−0) = −0``, ``nnan`` and ``ninf`` lose
  the values at the ends, and with ``contract`` the compiler says what is fused.
- What is fused is written: ``fma(x, y, z)``. The sequence of operations is one, and C and Numba
  give the same bits, with AVX-512 and with AVX2. A processor without the instruction (x86
  before 2013) takes a product and a sum: the C library's ``fmaf`` would be a call a number.
- ``forceinline``: a function that stays a call is not vectorised. It acts after Numba's own
  passes; ``inline="always"`` acts before, and would give the body the caller's flags.
- No branch. A function that needs one, since it is computed up to a bound, is two: ``near_sin``
  has none, and ``sin`` calls it (`codegen.elementary.trigonometric`, `codegen.emit.bounded`).
- No ``cache``: what calls the function is cached, and holds it.
- Every constant has the dtype: with a bare ``0.5`` Numba would compute in float64.
- Integers are cast just before their bits are read as a number: Numba adds and shifts in
  int64. LLVM narrows that again.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from mpmath import mp

from codegen.elementary import (
    arctangent,
    error_function,
    exponential,
    hyperbolic,
    logarithm,
    trigonometric,
)
from codegen.elementary.pieces import DECORATOR, FMA, FORMATS, ElementaryFunction, Format
from codegen.errors import InputError
from codegen.kernel import Elementwise, called
from codegen.remez import PRECISION

_BUILDERS: Final[dict[str, Callable[[Format], ElementaryFunction]]] = {
    "atan": arctangent.atan,
    "cos": trigonometric.cos,
    "cosh": hyperbolic.cosh,
    "erf": error_function.erf,
    "exp": exponential.exp,
    "expm1": exponential.expm1,
    "log": logarithm.log,
    "log1p": logarithm.log1p,
    "sin": trigonometric.sin,
    "sinh": hyperbolic.sinh,
    "tan": trigonometric.tan,
    "tanh": hyperbolic.tanh,
}
KNOWN: Final[tuple[str, ...]] = tuple(_BUILDERS)
# what some of them are up to a bound; named by what needs it alone
_NEAR: Final[dict[str, Callable[[Format], ElementaryFunction]]] = {
    "near_cos": trigonometric.near_cos,
    "near_sin": trigonometric.near_sin,
    "near_tan": trigonometric.near_tan,
}
BOUNDED: Final[tuple[str, ...]] = tuple(name.removeprefix("near_") for name in _NEAR)


@cache
def elementary_function(name: str, dtype: str) -> ElementaryFunction:
    """Return the source of the function `name` in `dtype`, with its error bound.

    Raises
    ------
    InputError
        The name or the dtype is not known.
    """
    if dtype not in FORMATS:
        raise InputError(f'dtype: "{dtype}" is not known. Known: {", ".join(FORMATS)}.')
    builders = _BUILDERS | _NEAR
    if name not in builders:
        raise InputError(f'elementary function: "{name}" is not known. Known: {", ".join(KNOWN)}.')
    with mp.workprec(PRECISION):
        return builders[name](FORMATS[dtype])


def with_needed(name: str, dtype: str) -> tuple[ElementaryFunction, ...]:
    """Return the function `name` after those that its source calls."""
    own = elementary_function(name, dtype)
    return (*(elementary_function(needed, dtype) for needed in own.needs), own)


def may_run_again(node: Elementwise) -> bool:
    """Whether a loop calls a function with a bound, beyond which it runs once more."""
    return any(not called(store.value).isdisjoint(BOUNDED) for store in node.stores)


__all__ = [
    "BOUNDED",
    "DECORATOR",
    "FMA",
    "KNOWN",
    "ElementaryFunction",
    "elementary_function",
    "may_run_again",
    "with_needed",
]
