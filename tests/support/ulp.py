"""Errors of the emitted elementary functions, in units in the last place.

Run as ``python tests/support/ulp.py`` (``--all`` for every float32 number, minutes) it prints
the table that the docstrings of the emitted functions quote.
"""

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp
from numba import njit

from codegen.approximation import DECORATOR, KNOWN, ElementaryFunction, elementary_function

UNFUSED = DECORATOR.replace('fastmath={"contract"}', "fastmath=False")

_APPLY = """

@njit(nogil=True, error_model="numpy")
def apply(x, out):
    for j in range(x.size):
        out[j] = {name}(x[j])
"""

FRACTION = {"float32": 23, "float64": 52}
BIAS = {"float32": 127, "float64": 1023}


@dataclass(frozen=True)
class Compiled:
    """The function itself, and a compiled loop `apply(x, out)` over it."""

    scalar: Any
    apply: Any
    name: str
    dtype: str

    def __call__(self, x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        self.apply(x, out)
        return out


def module_source(function: ElementaryFunction) -> str:
    """Return a module with the function, those it needs, and the loop."""
    needed = [elementary_function(name, function.dtype).source for name in function.needs]
    header = "import numpy as np\nfrom numba import njit\n"
    return "\n\n".join([header, *needed, function.source]) + _APPLY.format(name=function.name)


def load(source: str, name: str, dtype: str, folder: Path) -> Compiled:
    """Write the module into `folder`, import it, and wrap what it defines."""
    path = folder / f"{name}_{dtype}_{len(list(folder.iterdir()))}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Compiled(scalar=getattr(module, name), apply=module.apply, name=name, dtype=dtype)


def compiled(name: str, dtype: str, folder: Path, *, fused: bool = True) -> Compiled:
    """Compile one elementary function, with or without fused multiply-add."""
    source = module_source(elementary_function(name, dtype))
    return load(source if fused else source.replace(DECORATOR, UNFUSED), name, dtype, folder)


def worst_error(function: Callable[[np.ndarray], np.ndarray], name: str, x: np.ndarray) -> float:
    """Return the largest error over `x`, in ulp, against the next wider format of NumPy.

    float32 is compared with float64, float64 with `numpy.longdouble` (which must be wider).
    inf counts as the power of two beyond the largest number; NaN must meet NaN.
    """
    value = function(x)
    with np.errstate(all="ignore"):
        if x.dtype == np.float32:
            return float(_worst_of_float32(value, getattr(np, name)(x.astype(np.float64))))
        return float(_worst_of_float64(value, getattr(np, name)(x.astype(np.longdouble))))


@njit
def _worst_of_float32(value: np.ndarray, exact: np.ndarray) -> float:
    """Compiled, so that all four thousand million numbers can be asked for."""
    worst, beyond = 0.0, 2.0**128
    for j in range(value.size):
        clipped = min(max(exact[j], -beyond), beyond)
        computed = min(max(np.float64(value[j]), -beyond), beyond)
        if np.isnan(exact[j]) and np.isnan(value[j]):
            continue
        if np.isnan(exact[j]) or np.isnan(value[j]):
            return np.inf
        exponent = (np.float64(clipped).view(np.int64) >> 52) & 0x7FF
        spacing = np.int64((max(exponent, 1023 - 126) - 23) << 52).view(np.float64)
        worst = max(worst, abs(computed - clipped) / spacing)
    return worst


def _worst_of_float64(value: np.ndarray, exact: np.ndarray) -> np.longdouble:
    both = np.isnan(value) & np.isnan(exact)
    beyond = np.ldexp(np.longdouble(1), 1024)
    clipped = np.clip(exact[~both], -beyond, beyond)
    exponent = np.frexp(clipped)[1] - 1
    spacing = np.ldexp(np.longdouble(1), np.maximum(exponent, -1022) - 52)
    error = np.abs(np.clip(value[~both].astype(np.longdouble), -beyond, beyond) - clipped) / spacing
    return np.max(np.where(np.isnan(error), np.inf, error), initial=0.0)


def worst_error_mpmath(
    function: Callable[[np.ndarray], np.ndarray], name: str, x: np.ndarray
) -> float:
    """Return the largest error over `x`, in ulp, against mpmath; results must be finite."""
    fraction, bias = FRACTION[x.dtype.name], BIAS[x.dtype.name]
    worst = mp.mpf(0)
    with mp.workprec(120):
        of_name = getattr(mp, name)
        for argument, value in zip(x.tolist(), function(x).tolist(), strict=True):
            exact = of_name(mp.mpf(argument))
            exponent = mp.frexp(exact)[1] - 1 if exact else 1 - bias
            spacing = mp.ldexp(1, max(exponent, 1 - bias) - fraction)
            worst = max(worst, abs(mp.mpf(value) - exact) / spacing)
    return float(worst)


def every_float32(stride: int = 1, chunk: int = 1 << 22) -> Iterator[np.ndarray]:
    """Yield all float32 bit patterns, or every `stride`-th: NaN, inf and subnormals included."""
    for start in range(0, 1 << 32, chunk * stride):
        stop = min(start + chunk * stride, 1 << 32)
        yield np.arange(start, stop, stride, dtype=np.uint32).view(np.float32)


def float64_samples(name: str, count: int, seed: int) -> np.ndarray:
    """Return `count` numbers: all magnitudes, the usual range, and where roundings weigh most.

    And the hard points.
    """
    draw = np.random.default_rng(seed)
    part = count // 3
    signs = draw.choice([-1.0, 1.0], part)
    magnitudes = signs * draw.uniform(1.0, 2.0, part) * np.exp2(draw.integers(-60, 11, part))
    if name == "log":
        magnitudes = draw.integers(0, 0x7FF0000000000000, part).view(np.float64)
        usual = 1.0 + signs * draw.uniform(0.0, 0.5, part)
        weighty = draw.uniform(1.25, 1.4143, part) * np.exp2(draw.integers(-1, 2, part))
    elif name == "exp":
        usual = draw.uniform(-20.0, 20.0, part)
        weighty = np.log(2.0) * (draw.integers(-1000, 1000, part) - draw.uniform(0.35, 0.5, part))
    else:
        usual = draw.uniform(-2.0, 2.0, part)
        weighty = signs * draw.uniform(np.log(3.0) / 2, 0.65, part)
    return np.concatenate([magnitudes, usual, weighty, hard_points(name, np.float64)])


def hard_points(name: str, dtype: type[np.floating]) -> np.ndarray:
    """Return the numbers around which an implementation changes its mind, and neighbours."""
    info = np.finfo(dtype)
    steps = np.arange(-20, 21)
    if name == "log":
        powers = np.exp2(np.arange(info.minexp - info.nmant, info.maxexp, dtype=np.float64))
        centres = np.concatenate([powers, powers[info.nmant :] * np.sqrt(0.5)])
    else:
        top = {"exp": info.maxexp, "tanh": 64}[name]
        low = {"exp": info.minexp - info.nmant - 1, "tanh": -64}[name]
        centres = np.arange(2 * low, 2 * top + 1) / 2 * np.log(2.0)
        if name == "tanh":
            thresholds = [np.log(3.0) / 2, 10.0, 20.0, 9.0108, 19.0615, 1e-4, 1e-8]
            centres = np.concatenate([centres / 2, thresholds, np.negative(thresholds)])
    centres = centres.astype(dtype)
    return (centres[:, None] + steps * np.spacing(centres)[:, None]).astype(dtype).ravel()


def main() -> None:
    """Print a line per function and dtype: stated bound and worst errors."""
    stride = 1 if "--all" in sys.argv else 1021
    print(f"{'function':<10}{'dtype':<10}{'bound':>6}{'fused':>9}{'unfused':>9}   ulp")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in FRACTION:
            for name in KNOWN:
                worst = []
                for fused in (True, False):
                    function = compiled(name, dtype, Path(folder), fused=fused)
                    chunks: Iterator[np.ndarray] = (
                        every_float32(stride)
                        if dtype == "float32"
                        else (float64_samples(name, 10**6, seed) for seed in range(10))
                    )
                    worst.append(max(worst_error(function, name, x) for x in chunks))
                bound = elementary_function(name, dtype).ulp
                print(f"{name:<10}{dtype:<10}{bound:>6}{worst[0]:>9.4f}{worst[1]:>9.4f}")


if __name__ == "__main__":
    main()
