"""Elementary functions in C: the bits of those that Numba compiles."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import ulp
from c_library import compile_c, write

from codegen.approximation import KNOWN
from codegen.emit.c_functions import function_sources
from codegen.generation import generate

NATIVE, PORTABLE = ("-O3", "-march=native"), ("-O2", "-DNET_PORTABLE")

_APPLY = """
void apply_{name}(const T *x, T *y, size_t count)
{{
    lanes given;
    for (size_t j = 0; j < count; j += LANES) {{
        memcpy(&given, x + j, sizeof given);
        given = v_{name}(given);
        memcpy(y + j, &given, sizeof given);
    }}
}}
"""

Apply = Callable[[str, np.ndarray], np.ndarray]


def built(folder: Path, dtype: str, flags: tuple[str, ...]) -> Apply:
    """Return what applies a function as C compiles it."""
    generated = generate("2-10-2", target="c", dtype=dtype)
    file = write(generated, folder)
    support = generated.text.split("/* " + "-" * 66 + " elementary functions */")[0]
    functions = function_sources(list(KNOWN), dtype)
    applied = [_APPLY.format(name=name) for name in KNOWN]
    file.write_text("\n".join([support, *functions, *applied]), encoding="utf-8")
    library = ctypes.CDLL(
        str(compile_c(file, out=folder / "functions.so", flags=("-shared", "-fPIC", *flags)))
    )

    def apply(name: str, x: np.ndarray) -> np.ndarray:
        y = np.empty_like(x)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, y)]
        library[f"apply_{name}"](*pointers, ctypes.c_size_t(x.size))
        return y

    return apply


@pytest.mark.long
@pytest.mark.sweep
@pytest.mark.parametrize(
    ("dtype", "flags"), [("float32", NATIVE), ("float64", NATIVE), ("float32", PORTABLE)]
)
def test_c_gives_the_bits_of_numba(tmp_path: Path, dtype: str, flags: tuple[str, ...]) -> None:
    """PORTABLE C fuses nothing: there its processor is the oldest."""
    apply = built(tmp_path, dtype, flags)
    for name in KNOWN:
        numba = ulp.compiled(name, dtype, tmp_path, fused=flags is NATIVE)
        with np.errstate(over="ignore", under="ignore"):
            x = ulp.float64_samples(name, 60_000, seed=8).astype(dtype)
            x = np.concatenate([x, ulp.hard_points(name, np.dtype(dtype).type)])
        x = np.concatenate([[0.0, -0.0, np.inf, -np.inf, np.nan], x]).astype(dtype)
        x = x[: x.size // 16 * 16].copy()
        found, expected = apply(name, x), numba(x)
        unlike = (found.view(f"u{x.itemsize}") != expected.view(f"u{x.itemsize}")) & ~(
            np.isnan(found) & np.isnan(expected)
        )
        assert not unlike.any(), (name, x[unlike][:3], found[unlike][:3], expected[unlike][:3])
