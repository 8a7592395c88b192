"""Errors of the emitted elementary functions, in units in the last place.

Run as ``python tests/support/ulp.py`` it measures them on a sample and compares them with the
table that the docstrings of the emitted functions quote; with ``--all`` on every float32
number and on 10⁸ of float64, which takes some minutes a function. ``--write`` makes the table.
"""

import argparse
import importlib.util
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import scipy.special
from mpmath import mp
from numba import njit
from numba.core import config

from codegen.approximation import FMA, KNOWN, ElementaryFunction, elementary_function
from codegen.elementary.error_function import BORDER, far_polynomial, near_polynomial
from codegen.elementary.pieces import FMA_IMPORTS, errors
from codegen.remez import PRECISION

UNFUSED = """\
@njit
def fma(x, y, z):
    return x * y + z
"""

_APPLY = """

@njit(nogil=True, error_model="numpy")
def apply(x, out):
    for j in range(x.size):
        out[j] = {name}(x[j])
"""

PERIODIC = ("cos", "sin", "tan")
GROWING = tuple(name for name in KNOWN if name not in (*PERIODIC, "cosh"))  # never step back
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
    header = f"import math\n\nimport numpy as np\n{FMA_IMPORTS}"
    return "\n\n".join([header, FMA, *needed, function.source]) + _APPLY.format(name=function.name)


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
    return load(source if fused else source.replace(FMA, UNFUSED), name, dtype, folder)


def worst_error(function: Callable[[np.ndarray], np.ndarray], name: str, x: np.ndarray) -> float:
    """Return the largest error over `x`, in ulp, against the next wider format of NumPy.

    float32 is compared with float64, float64 with `numpy.longdouble` (which must be wider).
    inf counts as the power of two beyond the largest number; NaN must meet NaN.
    """
    value = function(x)
    with np.errstate(all="ignore"):
        if x.dtype == np.float32:
            return float(_worst_of_float32(value, wider(name, x)))
        return float(np.max(_errors_of_float64(value, wider(name, x)), initial=0.0))


def wider(name: str, x: np.ndarray) -> np.ndarray:
    """Return a function's values in the next wider format."""
    if name != "erf":
        of_name = getattr(np, {"atan": "arctan"}.get(name, name))
        return of_name(x.astype({4: np.float64, 8: np.longdouble}[x.itemsize]))
    return scipy.special.erf(x.astype(np.float64)) if x.itemsize == 4 else _long_erf(x)


def _long_erf(x: np.ndarray) -> np.ndarray:
    """Return erf in NumPy's long double, which has none: by longer polynomials."""
    near, far = _long_polynomials()
    a = np.minimum(np.abs(x.astype(np.longdouble)), 7)
    p, t = np.zeros_like(a), 2 / (2 + a)
    for c in reversed(near):
        p = p * (a * a) + c
    q = np.zeros_like(a)
    for c in reversed(far):
        q = q * t + c
    return np.copysign(np.where(a < BORDER, a + a * p, 1 - np.exp(-a * a) * q), x)


@cache
def _long_polynomials() -> tuple[list[np.longdouble], list[np.longdouble]]:
    with mp.workprec(PRECISION):
        found = near_polynomial(16).coefficients, far_polynomial(20).coefficients
        return tuple([np.longdouble(mp.nstr(c, 25)) for c in p] for p in found)


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


def _errors_of_float64(value: np.ndarray, exact: np.ndarray) -> np.ndarray:
    both = np.isnan(value) & np.isnan(exact)
    beyond = np.ldexp(np.longdouble(1), 1024)
    clipped = np.clip(exact, -beyond, beyond)
    exponent = np.frexp(clipped)[1] - 1
    spacing = np.ldexp(np.longdouble(1), np.maximum(exponent, -1022) - 52)
    error = np.abs(np.clip(value.astype(np.longdouble), -beyond, beyond) - clipped) / spacing
    return np.where(both, 0, np.where(np.isnan(error), np.inf, error))


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
    if name in PERIODIC:
        # up to twice where the C library takes over, and at odd multiples of π/4
        magnitudes = signs * draw.uniform(1.0, 2.0, part) * np.exp2(draw.integers(-60, 21, part))
        usual = draw.uniform(-20.0, 20.0, part)
        odd = 2 * np.floor(np.exp2(draw.uniform(0, 19, part))) + 1
        weighty = signs * np.pi / 4 * (odd + draw.uniform(-0.1, 0.1, part))
    elif name == "log":
        magnitudes = draw.integers(0, 0x7FF0000000000000, part).view(np.float64)
        usual = 1.0 + signs * draw.uniform(0.0, 0.5, part)
        weighty = draw.uniform(1.25, 1.4143, part) * np.exp2(draw.integers(-1, 2, part))
    elif name == "log1p":
        usual = draw.uniform(-1.0, 2.0, part)
        weighty = draw.uniform(1.25, 1.4143, part) * np.exp2(draw.integers(-1, 2, part)) - 1
    elif name in ("exp", "expm1"):
        usual = draw.uniform(-20.0, 20.0, part)
        turns = draw.integers(-1000, 1000, part) if name == "exp" else draw.integers(-2, 4, part)
        weighty = np.log(2.0) * (turns - draw.uniform(0.35, 0.5, part))
    else:
        border = {"tanh": np.log(3.0) / 2}.get(name, 1.0)
        usual = 2 * border * draw.uniform(-2.0, 2.0, part)
        weighty = signs * draw.uniform(border, 1.2 * border, part)
    return np.concatenate([magnitudes, usual, weighty, hard_points(name, np.float64)])


def hard_points(name: str, dtype: type[np.floating]) -> np.ndarray:
    """Return the numbers around which an implementation changes its mind, and neighbours."""
    info = np.finfo(dtype)
    steps = np.arange(-20, 21)
    small = np.exp2(np.arange(info.minexp, 0, dtype=np.float64))
    if name in PERIODIC:
        centres = np.concatenate([_near_quarter_turns(dtype), small, [2.0**11, 2.0**20]])
        centres = np.concatenate([centres, -centres])
    elif name == "log":
        powers = np.exp2(np.arange(info.minexp - info.nmant, info.maxexp, dtype=np.float64))
        centres = np.concatenate([powers, powers[info.nmant :] * np.sqrt(0.5)])
    elif name == "log1p":
        powers = np.exp2(np.arange(-2 * info.nmant, info.maxexp, dtype=np.float64))
        centres = np.concatenate([powers - 1, powers * np.sqrt(0.5) - 1, powers - 1, small, -small])
    elif name == "atan":
        large = np.exp2(np.arange(0, info.maxexp, dtype=np.float64))
        centres = np.concatenate([small, large, np.linspace(0.05, 3, 200)])
        centres = np.concatenate([centres, -centres])
    elif name == "erf":
        thresholds = [1.0, 4.0, 6.0, 3.8325, 5.8636, *np.linspace(0.05, 7, 400)]
        centres = np.concatenate([small, -small, thresholds, np.negative(thresholds)])
    else:
        top = {"tanh": 64, "sinh": info.maxexp + 2, "cosh": info.maxexp + 2}.get(name, info.maxexp)
        low = {"tanh": -64, "expm1": -64}.get(name, info.minexp - info.nmant - 1)
        centres = np.arange(2 * low, 2 * top + 1) / 2 * np.log(2.0)
        if name == "tanh":
            thresholds = [np.log(3.0) / 2, 10.0, 20.0, 9.0108, 19.0615, 1e-4, 1e-8]
            centres = np.concatenate([centres / 2, thresholds, np.negative(thresholds)])
        if name in ("expm1", "sinh", "cosh"):
            centres = np.concatenate([centres, small, -small])
    centres = centres.astype(dtype)
    return (centres[:, None] + steps * np.spacing(centres)[:, None]).astype(dtype).ravel()


def _near_quarter_turns(dtype: type[np.floating]) -> np.ndarray:
    """Return multiples of π/4, numbers that lie closest to multiples of π/2, and large ones.

    A multiple of a spacing is close to k·π/2 where its number is the denominator of a
    convergent of their ratio's continued fraction.
    """
    draw = np.random.default_rng(7)
    multiples = np.concatenate([np.arange(400), draw.integers(400, 1 << 20, 400)]) * (np.pi / 4)
    bits = np.finfo(dtype).nmant
    closest = []
    with mp.workprec(200):
        for exponent in range(21):
            spacing = mp.ldexp(1, exponent - bits)
            ratio = spacing / (mp.pi / 2)
            before, number = 0, 1
            while number < 2 ** (bits + 1):
                if number >= 2 ** (bits - 6):
                    most = (2 ** (bits + 1) - 1) // number
                    closest += [float(number * times * spacing) for times in range(1, most + 1)]
                ratio = 1 / (ratio - mp.floor(ratio))
                before, number = number, before + int(mp.floor(ratio)) * number
    beyond = np.exp2(draw.uniform(20, np.finfo(dtype).maxexp - 1, 100))
    return np.concatenate([multiples, closest, beyond])


# ------------------------------------------------------------------ the table

TABLE = Path(__file__).parents[2] / "codegen" / "elementary" / "errors.json"
_WORST = 5  # points of a chunk that mpmath judges
_AT_ONCE = 8  # chunks in memory: `map` of a pool would hold all, 17 GB of float32


@njit(nogil=True)
def _steps_back(x: np.ndarray, y: np.ndarray) -> int:
    found = 0
    for j in range(x.size - 1):
        found += (x[j + 1] > x[j] and y[j + 1] < y[j]) or (x[j + 1] < x[j] and y[j + 1] > y[j])
    return found


@njit(nogil=True)
def _sum_of_bits(bits: np.ndarray) -> int:
    total = np.uint64(0)
    for j in range(bits.size):
        total = total * np.uint64(31) + np.uint64(bits[j])
    return total


def _float32_chunk(function: Compiled, x: np.ndarray) -> tuple[float, int, int]:
    """Return the worst error of a chunk, its steps back, and a sum over the results' bits."""
    y = function(x)
    with np.errstate(all="ignore"):
        worst = float(_worst_of_float32(y, wider(function.name, x)))
    y[np.isnan(y)] = np.nan  # one value, whatever its payload
    return worst, int(_steps_back(x, y)), int(_sum_of_bits(y.view(np.uint32)))


def _float64_chunk(function: Compiled, x: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the points of a chunk that are furthest off, and a sum over the results' bits."""
    y = function(x)
    with np.errstate(all="ignore"):
        off = _errors_of_float64(y, wider(function.name, x))
    if np.isinf(off).any():
        return x[np.isinf(off)], 0, 0
    off[~np.isfinite(y)] = 0  # where they meet, they are right
    hardest = x[np.argpartition(off, -_WORST)[-_WORST:]]
    y[np.isnan(y)] = np.nan
    return hardest, 0, int(_sum_of_bits(y.view("u8")))


def measure(
    function: Compiled, chunks: Iterable[np.ndarray], pool: ThreadPoolExecutor
) -> tuple[float, int, int]:
    """Return worst error, steps back and a sum over all bits, of all chunks."""
    judge = _float32_chunk if function.dtype == "float32" else _float64_chunk
    _long_polynomials()  # mpmath has one precision for all threads, so that only one may use it
    worst, back, bits = 0.0, 0, 0
    waiting = iter(chunks)
    while few := list(islice(waiting, _AT_ONCE)):
        for found, steps, some in pool.map(lambda x: judge(function, x), few):
            if isinstance(found, np.ndarray):
                if not np.isfinite(function(found)).all():
                    return math.inf, back, bits
                found = worst_error_mpmath(function, function.name, found)
            worst, back, bits = max(worst, found), back + steps, (bits * 31 + some) % 2**64
    return worst, back, bits


def overlapping_float32(stride: int) -> Iterator[np.ndarray]:
    """Yield all float32 numbers, or every `stride`-th; each chunk begins with the last's end."""
    last = np.empty(0, np.float32)
    for chunk in every_float32(stride):
        yield np.concatenate([last, chunk])
        last = chunk[-1:]


def table_rows(table: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return the rows of the table in ARCHITECTURE.md."""
    return [
        " | ".join(
            [f"| `{name}`"]
            + [f"{of[dtype][kind]:.2f}" for dtype in FRACTION for kind in ("fused", "unfused")]
        )
        + " |"
        for name, of in sorted(table.items())
    ]


def main() -> int:
    """Print a line per function and dtype; return 1 if one is worse than the table says."""
    parser = argparse.ArgumentParser(description="Errors of the elementary functions, in ulp.")
    parser.add_argument("names", nargs="*", default=KNOWN, help="functions; all without")
    parser.add_argument("--all", action="store_true", help="every float32, 10⁸ of float64")
    parser.add_argument("--write", action="store_true", help="write what is measured to the table")
    parser.add_argument("--dtype", choices=FRACTION, action="append", help="both without")
    options = parser.parse_args()
    table, failed = errors(), False
    processor = config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    print(f"{processor}, {'all numbers' if options.all else 'a sample'}; bits: of all results")
    print(f"{'function':<10}{'dtype':<10}{'':<9}{'table':>7}{'worst':>9}  steps back  bits")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for name in options.names:
            for dtype in options.dtype or FRACTION:
                for kind in ("fused", "unfused"):
                    function = compiled(name, dtype, Path(folder), fused=kind == "fused")
                    chunks: Iterable[np.ndarray] = (
                        overlapping_float32(1 if options.all else 1021)
                        if dtype == "float32"
                        else (
                            float64_samples(name, 10**6, seed)
                            for seed in range(100 if options.all else 1)
                        )
                    )
                    worst, back, bits = measure(function, chunks, pool)
                    said = table.get(name, {}).get(dtype, {}).get(kind, 0.0)
                    failed |= worst > said or (back > 0 and name in GROWING)
                    steps = back if name in GROWING else ""
                    found = f"{said:>7}{worst:>9.4f}{steps:>12}  {bits:016x}"
                    print(f"{name:<10}{dtype:<10}{kind:<9}{found}", flush=True)
                    if options.write:
                        rounded = math.ceil(100 * worst) / 100
                        table.setdefault(name, {}).setdefault(dtype, {})[kind] = rounded
    if options.write:
        TABLE.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print("For ARCHITECTURE.md:", *table_rows(table), sep="\n")
        return 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
