"""The emitted elementary functions: accuracy, special values, vector instructions."""

import ast
import itertools
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import llvmlite.binding
import numpy as np
import pytest
import ulp
from mpmath import mp
from numba import float32, float64, njit

from codegen.approximation import BOUNDED, DECORATOR, FMA, KNOWN, elementary_function
from codegen.elementary import (
    arctangent,
    error_function,
    exponential,
    hyperbolic,
    logarithm,
    trigonometric,
)
from codegen.elementary.pieces import FORMATS
from codegen.emit.c_functions import LIBRARY
from codegen.emit.module import BUILT_IN, FROM_MATH
from codegen.errors import InputError
from codegen.remez import PRECISION
from codegen.scalar import FUNCTIONS

DTYPES = ("float32", "float64")
EVERY = [(name, dtype) for name in KNOWN for dtype in DTYPES]
# tan is made of sin and cos, cosh as sinh is: where a test takes long, those will do by default
REST = ("tan", "cosh")
MOST = [pytest.param(n, d, marks=pytest.mark.slow) if n in REST else (n, d) for n, d in EVERY]
# what is plain arithmetic: where it is bounded, up to the bound
PLAIN = [
    pytest.param(f"near_{n}" if n in ulp.PERIODIC else n, d, marks=pytest.mark.slow)
    if n in REST
    else (f"near_{n}" if n in ulp.PERIODIC else n, d)
    for n, d in EVERY
]
# and but for these, what long tests measure by default is what processors with fused do
UNFUSED = ("exp", "tanh")
SELDOM = ("atan", "cos", "cosh", "sin", "sinh", "tan")  # few networks call them: fewer numbers
DENSE = [
    pytest.param(name, fused, marks=[pytest.mark.slow] if is_slow else [], id=f"{name}-{kind}")
    for name in KNOWN
    for fused, kind in ((True, "fused"), (False, "unfused"))
    for is_slow in [name in REST or (name not in UNFUSED and not fused)]
]
BOUND = {"float32": 2.0**11, "float64": 2.0**20}

needs_longdouble = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63,
    reason="numpy.longdouble is no wider than float64 here; mpmath covers the hard points",
)


@pytest.fixture(scope="module")
def get(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ulp.Compiled]:
    """Compile each function once for the module."""
    folder = tmp_path_factory.mktemp("elementary")
    made: dict[tuple[str, str, bool], ulp.Compiled] = {}

    def compiled(name: str, dtype: str, *, fused: bool = True) -> ulp.Compiled:
        key = (name, dtype, fused)
        if key not in made:
            made[key] = ulp.compiled(name, dtype, folder, fused=fused)
        return made[key]

    return compiled


def bits(x: np.ndarray) -> np.ndarray:
    return x.view(f"int{8 * x.itemsize}")


def assert_same_bits(left: np.ndarray, right: np.ndarray) -> None:
    """NaN is one value here, whatever its payload."""
    np.testing.assert_array_equal(np.isnan(left), np.isnan(right))
    np.testing.assert_array_equal(bits(left)[~np.isnan(left)], bits(right)[~np.isnan(right)])


def sample(name: str, dtype: str, count: int = 3000) -> np.ndarray:
    """Return numbers of every magnitude and the special ones; some give NaN, inf and 0."""
    info = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, info.max, -info.max, info.tiny]
    drawn = ulp.float64_samples(name, count, seed=5)[:count]
    with np.errstate(over="ignore", under="ignore"):
        return np.concatenate([special, [float(info.smallest_subnormal)], drawn]).astype(dtype)


# ---- accuracy


@pytest.mark.parametrize(("name", "fused"), DENSE)
def test_float32_keeps_its_bound_on_a_dense_sample(
    get: Callable[..., ulp.Compiled], name: str, fused: bool
) -> None:
    function = get(name, "float32", fused=fused)
    chunks = [*ulp.every_float32(stride=1021), ulp.hard_points(name, np.float32)]
    assert sum(x.size for x in chunks) > 4_000_000
    worst = max(ulp.worst_error(function, name, x) for x in chunks)
    assert 0.5 <= worst <= elementary_function(name, "float32").ulp
    assert worst <= quoted(name, "float32", fused=fused)


@needs_longdouble
@pytest.mark.parametrize(("name", "fused"), DENSE)
def test_float64_keeps_its_bound_against_long_double(
    get: Callable[..., ulp.Compiled], name: str, fused: bool
) -> None:
    count = 10**5 if not fused else 3 * 10**5 if name in SELDOM else 10**6
    x = ulp.float64_samples(name, count, seed=0)
    worst = ulp.worst_error(get(name, "float64", fused=fused), name, x)
    assert 0.5 <= worst <= elementary_function(name, "float64").ulp
    assert worst <= quoted(name, "float64", fused=fused)


@pytest.mark.parametrize("name", KNOWN)
def test_float64_keeps_its_bound_at_hard_points_against_mpmath(
    get: Callable[..., ulp.Compiled], name: str
) -> None:
    points = ulp.hard_points(name, np.float64)
    above = {"log": 0.0, "log1p": -1.0}.get(name, -np.inf)
    below = {"exp": 709.78, "expm1": 709.78, "sinh": 710.47, "cosh": 710.47}.get(name, np.inf)
    above = -710.47 if name in ("sinh", "cosh") else above
    points = points[np.isfinite(points) & (points > above) & (points < below)]
    x = points[:: max(1, points.size // 10_000)]
    assert x.size >= 10_000
    worst = ulp.worst_error_mpmath(get(name, "float64"), name, x)
    assert 0.5 <= worst <= elementary_function(name, "float64").ulp


def test_the_table_holds_every_function_and_no_other() -> None:
    table = json.loads(ulp.TABLE.read_text("utf-8"))
    assert sorted(table) == sorted(KNOWN)
    for name, dtype in EVERY:
        assert {*table[name][dtype]} == {"fused", "unfused"}
        for kind, error in table[name][dtype].items():
            assert error == quoted(name, dtype, fused=kind == "fused")
    document = (ulp.TABLE.parents[2] / "ARCHITECTURE.md").read_text("utf-8")
    assert "\n".join(ulp.table_rows(table)) in document


def test_every_function_that_kernels_may_call_is_in_the_table_or_the_c_library_s() -> None:
    """No emitter has a function that is neither measured nor named as the C library's."""
    of_library = {"sqrt", "pow"}
    in_part = {name for name in KNOWN if elementary_function(name, "float32").bound < math.inf}
    assert set(FUNCTIONS.values()) <= {*KNOWN, *of_library, *BUILT_IN}
    assert set(FROM_MATH) == set(LIBRARY) == of_library
    assert in_part == set(BOUNDED) == {"sin", "cos", "tan"}
    assert not of_library & set(KNOWN)


@pytest.mark.slow
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("name", KNOWN)
def test_every_float32(get: Callable[..., ulp.Compiled], name: str, fused: bool) -> None:
    """All 2³² of them: the error, and that no function ever steps back."""
    function = get(name, "float32", fused=fused)
    worst = max(ulp.worst_error(function, name, x) for x in ulp.every_float32())
    assert quoted(name, "float32", fused=fused) - 0.01 <= worst
    assert worst <= quoted(name, "float32", fused=fused)
    last = np.empty(0, np.float32)
    for chunk in (
        ulp.every_float32() if name in ulp.GROWING else ()
    ):  # each sign's numbers one after another, by magnitude
        assert_monotone(function, np.concatenate([last, chunk]))
        last = chunk[-1:]


def quoted(name: str, dtype: str, *, fused: bool) -> float:
    """Return the worst error that the docstring quotes."""
    found = re.search(
        r"Measured over .*: ([\d.]+) ulp; not fused, ([\d.]+) ulp\.",
        elementary_function(name, dtype).source,
    )
    assert found
    return float(found[1 if fused else 2])


# ---- the checker itself


def test_the_checker_knows_right_from_wrong() -> None:
    x = np.array([0.5, 1.0, 3.0, -20.0], np.float32)
    right = np.exp(x.astype(np.float64)).astype(np.float32)
    wrong_by = {0: right, 1: np.nextafter(right, np.float32(0))}
    for steps, value in wrong_by.items():
        worst = ulp.worst_error(lambda _, value=value: value, "exp", x)
        assert abs(worst - steps) <= 0.5
    for nonsense in (np.nan, np.inf, -np.inf):
        spoilt = right.copy()
        spoilt[2] = nonsense
        assert ulp.worst_error(lambda _, value=spoilt: value, "exp", x) > 1e6


@needs_longdouble
def test_the_checker_knows_right_from_wrong_in_float64() -> None:
    x = np.array([0.5, 1.0, 3.0, -20.0])
    right = np.exp(x.astype(np.longdouble)).astype(np.float64)
    off = np.nextafter(right, 0)
    assert ulp.worst_error(lambda _: right, "exp", x) <= 0.5
    assert 0.5 <= ulp.worst_error(lambda _: off, "exp", x) <= 1.5
    assert 0.5 <= ulp.worst_error_mpmath(lambda _: off, "exp", x) <= 1.5
    for nonsense in (np.nan, np.inf, -np.inf):
        spoilt = np.where(x == 3.0, nonsense, right)
        assert ulp.worst_error(lambda _, value=spoilt: value, "exp", x) > 1e6


LINE = re.compile(r"    (?:[pqvw] = |LN2_\w+ = |LOG2_E = |HALF_PI_\d = |TWO_OVER_PI = ).*")
CONSTANT = re.compile(r"np\.float32\([^)]*\)|(?<![\w.])-?\d+\.\d*(?:e-?\d+)?")


@pytest.mark.parametrize(("name", "dtype"), MOST)
def test_a_spoilt_coefficient_is_noticed(name: str, dtype: str, tmp_path: Path) -> None:
    lines = ulp.module_source(elementary_function(name, dtype)).splitlines()
    constants = [
        (i, constant)
        for i, line in enumerate(lines)
        if LINE.fullmatch(line)
        for constant in CONSTANT.finditer(line)
    ]
    least = {"exp": 8, "expm1": 8, "log": 5, "log1p": 5, "tanh": 13, "erf": 15}
    least |= dict.fromkeys(ulp.PERIODIC, 11) | {"atan": 5, "sinh": 12, "cosh": 8}
    assert len(constants) >= least[name]
    x = np.sort(in_range(name, sample(name, dtype)))
    x = x[:: x.size // 500]
    if name in ulp.PERIODIC:  # the last part of π/2 is for what lies close to its multiples
        hard = in_range(name, ulp.hard_points(name, np.dtype(dtype).type))
        x = np.concatenate([x, hard[20::101]])
    bound = elementary_function(name, dtype).ulp
    assert worst_in_python(lines, name, x, tmp_path) <= bound
    for i, constant in constants:
        before, after = lines[i][: constant.start()], lines[i][constant.end() :]
        spoilt = [*lines[:i], f"{before}(1.2 * {constant[0]}){after}", *lines[i + 1 :]]
        assert worst_in_python(spoilt, name, x, tmp_path) > bound, (lines[i], constant[0])


def in_range(name: str, x: np.ndarray) -> np.ndarray:
    """Return the numbers for which the C library is not called."""
    return x[~(np.abs(x) > BOUND[x.dtype.name])] if name in ulp.PERIODIC else x


def worst_in_python(lines: list[str], name: str, x: np.ndarray, folder: Path) -> float:
    """Return the worst error of the source run by Python itself, number by number."""
    source = "\n".join(lines).replace(FMA, ulp.UNFUSED)
    source = source.replace(
        "from numba import njit", "njit = lambda f=None, **_: f or (lambda f: f)"
    )
    plain = ulp.load(source, name, x.dtype.name, folder).scalar

    def function(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.array([plain(value) for value in x], x.dtype)

    return ulp.worst_error(function, name, x)


# ---- special values and shape


SPECIAL = {
    "exp": """0:1 -0:1 inf:inf -inf:0 nan:nan 1e4:inf -1e4:0""",
    "expm1": """0:0 -0:-0 inf:inf -inf:-1 nan:nan 1e4:inf -1e4:-1 -60:-1 1e-40:1e-40
                -1e-40:-1e-40""",
    "erf": """0:0 -0:-0 inf:1 -inf:-1 nan:nan 7:1 -7:-1 1e30:1 -1e30:-1""",
    "log1p": """0:0 -0:-0 -1:-inf inf:inf -inf:nan -2:nan -1.5:nan nan:nan 1e-40:1e-40
                -1e-40:-1e-40""",
    "log": """1:0 0:-inf -0:-inf inf:inf -inf:nan -1:nan -1e-40:nan nan:nan""",
    "sin": """0:0 -0:-0 inf:nan -inf:nan nan:nan 1e-40:1e-40 -1e-30:-1e-30""",
    "cos": """0:1 -0:1 inf:nan -inf:nan nan:nan 1e-40:1 -1e-30:1""",
    "tan": """0:0 -0:-0 inf:nan -inf:nan nan:nan 1e-40:1e-40 -1e-30:-1e-30""",
    "sinh": """0:0 -0:-0 inf:inf -inf:-inf nan:nan 1e4:inf -1e4:-inf 1e-40:1e-40 -1e-30:-1e-30""",
    "cosh": """0:1 -0:1 inf:inf -inf:inf nan:nan 1e4:inf -1e4:inf 1e-40:1 -1e-30:1""",
    "atan": f"""0:0 -0:-0 inf:{np.pi / 2} -inf:{-np.pi / 2} nan:nan 1e30:{np.pi / 2}
                1e-40:1e-40 -1e-30:-1e-30""",
    "tanh": """0:0 -0:-0 inf:1 -inf:-1 nan:nan 20:1 -20:-1 1e30:1 -1e30:-1
               1e-40:1e-40 -1e-30:-1e-30""",
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KNOWN)
def test_special_values_to_the_bit(get: Callable[..., ulp.Compiled], name: str, dtype: str) -> None:
    pairs = [[float(number) for number in pair.split(":")] for pair in SPECIAL[name].split()]
    x, expected = np.array(pairs, dtype).T.copy()
    assert_same_bits(get(name, dtype)(x), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_goes_to_infinity_and_to_zero_where_it_should(
    get: Callable[..., ulp.Compiled], dtype: str
) -> None:
    info = np.finfo(dtype)
    with mp.workprec(100):
        last = float(mp.ln(mp.mpf(float(info.max))))
        vanishing = float(mp.ln(mp.mpf(float(info.smallest_subnormal)) / 2))
    x = np.array([last - 1e-4, last + 1e-4, vanishing + 1e-4, vanishing - 1e-4], dtype)
    for name in ("sinh", "cosh"):
        finite, infinite = get(name, dtype)(x[:2] + np.log(2, dtype=dtype))
        assert np.isfinite(finite)
        assert infinite == np.inf
    assert np.isfinite(get("expm1", dtype)(x[:1]))
    assert get("expm1", dtype)(x[1:2]) == np.inf
    below, above, least, nothing = get("exp", dtype)(x)
    assert np.isfinite(below)
    assert above == np.inf
    assert least == info.smallest_subnormal
    assert nothing == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "tan", "cos", "sinh", "cosh", "atan"])
def test_what_is_odd_or_even_is_so_to_the_bit(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    x = sample(name, dtype, 100_000)
    y = get(name, dtype)(x)
    assert_same_bits(get(name, dtype)(-x), y if name in ("cos", "cosh") else -y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ulp.PERIODIC)
def test_beyond_the_range_it_is_the_c_library_s(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    """Both sides of the bound are right, and a value beyond it is the library's to the bit."""
    bound = np.dtype(dtype).type(BOUND[dtype])
    x = np.array([bound, np.nextafter(bound, 1e38), 1e9, 1e22, -1e30], dtype)
    function = get(name, dtype)
    assert ulp.worst_error(function, name, x) <= elementary_function(name, dtype).ulp
    of_library = getattr(math, name)

    @njit
    def library(x: np.ndarray, out: np.ndarray) -> None:
        for j in range(x.size):
            out[j] = of_library(x[j])

    expected = np.empty_like(x)
    library(x, expected)
    assert_same_bits(function(x[1:]), expected[1:])


@pytest.mark.parametrize("dtype", DTYPES)
def test_pi_is_cut_so_that_its_products_are_exact(dtype: str) -> None:
    real = FORMATS[dtype]
    with mp.workprec(PRECISION):
        parts = trigonometric.half_pi(real)
        assert abs(sum(parts) - mp.pi / 2) < mp.mpf(2) ** -150
        turns = int(BOUND[dtype] * 2 / np.pi) + 1
        for part in parts[:3]:
            assert (int(part.man) * turns).bit_length() <= real.fraction + 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ulp.GROWING)
def test_neighbours_never_step_back(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    """float32: runs of neighbouring numbers, all magnitudes; float64: around the hard points."""
    function = get(name, dtype)
    if dtype == "float32":
        starts = np.arange(0, 0x7F800000, 0x7F800000 // 1000, dtype=np.uint32)
        runs = starts[:, None] + np.arange(4000, dtype=np.uint32)
        positive = runs[runs < 0x7F800000].view(np.float32)
        for x in (positive, -positive):
            assert_monotone(function, x)
    points = ulp.hard_points(name, np.dtype(dtype).type)
    assert_monotone(function, np.sort(points[np.isfinite(points) & (points != 0)]))


def assert_monotone(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> None:
    y = function(x)
    with np.errstate(invalid="ignore"):  # NaN among all numbers
        back = np.where(x[1:] > x[:-1], y[1:] < y[:-1], y[1:] > y[:-1])
    assert not np.any(back), x[:-1][back][:5]


def test_one_step_back_is_noticed() -> None:
    x = np.linspace(-1.0, 1.0, 1001)
    assert_monotone(np.tanh, x)
    assert_monotone(np.tanh, -x)
    for sign in (1, -1):
        with pytest.raises(AssertionError):
            assert_monotone(lambda x: np.where(x == 0.5, 0.45, np.tanh(x)), sign * x)


# ---- compilation


def vector_arithmetic(llvm: str) -> list[str]:
    """Return the types of the sums, products and quotients of whole vectors."""
    return re.findall(r"= f(?:add|sub|mul|div)[a-z ]* <(\d+ x (?:float|double))>", llvm)


@pytest.mark.parametrize(("name", "dtype"), PLAIN)
def test_a_loop_becomes_vector_instructions(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    function = get(name, dtype)
    function(np.ones(4, dtype))
    signature = function.apply.signatures[0]  # arrays in one piece
    llvm = function.apply.inspect_llvm(signature)
    word = {"float32": "float", "float64": "double"}[dtype]
    lanes = {int(kind.split()[0]) for kind in vector_arithmetic(llvm)}
    assert lanes
    assert {kind.split()[2] for kind in vector_arithmetic(llvm)} == {word}
    if llvmlite.binding.get_host_cpu_features().get("avx2"):
        assert "ymm" in function.apply.inspect_asm(signature)
        # what is left of an array may be done by narrower ones
        assert max(lanes) >= {"float32": 8, "float64": 4}[dtype]
    library = name.removeprefix("near_")
    assert not re.findall(rf"call [^\n]*@{library}f?\(", llvm)  # not the C library's
    if dtype == "float32":
        assert "double" not in llvm
    flags = set(" ".join(re.findall(r" f(?:add|sub|mul|div)((?: [a-z]+)*) [<fd]", llvm)).split())
    assert not flags
    assert re.search(r"call <\d+ x (float|double)> @llvm\.fmuladd", llvm)
    assert (
        function.scalar.nopython_signatures[0].return_type
        == {
            "float32": float32,
            "float64": float64,
        }[dtype]
    )


@pytest.mark.parametrize(("name", "dtype"), PLAIN)
def test_no_compiler_finds_anything_else_to_fuse(name: str, dtype: str) -> None:
    """Kernels of vectors and of C may fuse a product and a sum: there must be none to find."""
    source = elementary_function(name, dtype).source
    # 2ᵏ is a factor that rounds nothing, so that it is all the same whether this is fused
    exact = {"power"} if (name, dtype) == ("tanh", "float64") else set()
    exact |= {"h"} if name in ("sinh", "cosh") else set()
    assert fusible(source) == exact
    assert "fma(" in source


def fusible(source: str) -> set[str]:
    """Return the products, and the variables that hold one, that go into a sum unrounded."""
    tree = ast.parse(source)
    products = {
        node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_product(node.value)
        if isinstance(node.targets[0], ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            if re.fullmatch(r"ZERO|0\.0|np\.float32\(0\.0\)", ast.unparse(node.right)):
                continue
            for side in (node.left, node.right):
                if is_product(side) or (isinstance(side, ast.Name) and side.id in products):
                    found.add(ast.unparse(side))
    return found


def is_product(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)


def test_what_could_be_fused_is_found() -> None:
    for body in ("return x * y + z", "return z - x * y", "p = x * y\n    return p + z"):
        assert fusible(f"def f(x, y, z):\n    {body}\n")
    for body in ("return fma(x, y, z)", "return x * y + 0.0", "return x * (y + z)"):
        assert not fusible(f"def f(x, y, z):\n    {body}\n")


def test_the_vector_test_can_fail() -> None:
    @njit(error_model="numpy")
    def apply(x: np.ndarray, out: np.ndarray) -> None:
        for j in range(x.size):
            out[j] = math.tanh(x[j])

    apply(np.ones(4), np.ones(4))
    (llvm,) = apply.inspect_llvm().values()
    assert not vector_arithmetic(llvm)


@pytest.mark.parametrize(("name", "dtype"), MOST)
def test_same_bits_alone_and_in_a_vector(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    function = get(name, dtype)
    x = sample(name, dtype)
    alone = np.array([function.scalar(value) for value in x], dtype)
    for start, stop in itertools.product((0, 1, 3), (x.size, x.size - 5, 40, 7)):
        assert_same_bits(function(x[start:stop]), alone[start:stop])


@pytest.mark.parametrize(("name", "dtype"), PLAIN)
def test_python_gives_the_same_bits_as_compiled_without_fusing(
    get: Callable[..., ulp.Compiled], name: str, dtype: str
) -> None:
    function = get(name, dtype, fused=False)
    called = name.removeprefix("near_")
    x = in_range(called, sample(called, dtype, 1000))
    compiled = function.scalar.py_func
    fma = compiled.__globals__["fma"].py_func
    python = FunctionType(compiled.__code__, {**compiled.__globals__, "fma": fma})
    with np.errstate(all="ignore"):
        plain = [python(value) for value in x]
    assert {type(value) for value in plain} == {np.dtype(dtype).type}
    assert_same_bits(function(x), np.array(plain, dtype))


@pytest.mark.parametrize(("name", "dtype"), MOST)
def test_a_careless_caller_changes_nothing(
    get: Callable[..., ulp.Compiled], name: str, dtype: str, tmp_path: Path
) -> None:
    """A caller with every fast-math flag still gets NaN, −0 and the range reduction."""
    source = ulp.module_source(elementary_function(name, dtype))
    head, loop = source.rsplit("@njit(", maxsplit=1)
    careless = ulp.load(f"{head}@njit(fastmath=True, {loop}", name, dtype, tmp_path)
    x = sample(name, dtype)
    assert_same_bits(careless(x), get(name, dtype)(x))


# ---- generation


@pytest.fixture
def afresh() -> Iterator[Callable[[], None]]:
    caches = [elementary_function] + [
        found
        for module in (
            arctangent,
            error_function,
            exponential,
            hyperbolic,
            logarithm,
            trigonometric,
        )
        for found in vars(module).values()
        if hasattr(found, "cache_clear")
    ]
    assert len(caches) >= 12

    def clear() -> None:
        for found in caches:
            found.cache_clear()

    clear()
    yield clear
    clear()


def test_generation_is_the_same_every_time(afresh: Callable[[], None]) -> None:
    first = [elementary_function(name, dtype) for name, dtype in EVERY]
    afresh()
    with mp.workdps(50):  # someone else's precision
        second = [elementary_function(name, dtype) for name, dtype in reversed(EVERY)]
    assert second[::-1] == first


@pytest.mark.parametrize(
    "called", [("exp", "log", "tanh"), ("erf", "exp"), ("expm1", "log1p", "sin", "cos")]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_generation_is_quick(
    afresh: Callable[[], None], dtype: str, called: tuple[str, ...]
) -> None:
    spent = []
    for _ in range(3):
        afresh()
        start = time.process_time()
        for name in called:
            elementary_function(name, dtype)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.15


@pytest.mark.parametrize(("name", "dtype"), EVERY)
def test_the_source_is_fit_to_be_read(name: str, dtype: str) -> None:
    function = elementary_function(name, dtype)
    assert function.source.startswith(f"{DECORATOR}\ndef {name}(x):\n")
    assert max(map(len, function.source.splitlines())) <= 100
    assert f"within {function.ulp} ulp." in function.source
    assert "Reference: " in function.source or "References: " in function.source
    assert max(quoted(name, dtype, fused=fused) for fused in (True, False)) <= function.ulp


def test_unknown_names_are_refused_with_what_is_known() -> None:
    with pytest.raises(
        InputError, match=r'"tahn" is not known\. Known: atan, cos, cosh, erf, exp, expm1, log'
    ):
        elementary_function("tahn", "float32")
    with pytest.raises(InputError, match=r'"float16" is not known\. Known: float32, float64'):
        elementary_function("exp", "float16")
