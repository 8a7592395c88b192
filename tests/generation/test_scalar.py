"""The one door through which SymPy enters: what passes, and that nothing else does."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from kernels import elementwise, kernel_program
from sympy import Float, Function, Integer, Max, Min, Piecewise, Pow, Rational, Symbol, sin
from sympy.codegen.cfunctions import exp2, log1p

from codegen.errors import InternalError
from codegen.interpreter import interpret
from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    Load,
    Negative,
    Select,
    Value,
    loads,
    parts,
)
from codegen.scalar import FUNCTIONS, value_of
from derive.indices import fresh, target_indices
from derive.program import BATCH, Tensor, base, index, scalar, size

i, k = index("i"), index("k")
x, y = base("x")[i], base("y")[i]
s = scalar("s")

X, Y = Load("x", ("i",)), Load("y", ("i",))

# expression -> what it becomes; the form is part of the promise, as rounding depends on it
FORMS: dict[str, tuple[sympy.Expr, Value]] = {
    "integer": (Integer(3), Const(3.0)),
    "fraction": (Rational(1, 3), Const(1 / 3)),
    "decimal": (Float("0.1"), Const(0.1)),
    "size of the batch": (BATCH, Argument("B")),
    "tensor without axes": (s, Load("s", ())),
    "entry": (x, X),
    "batch last": (base("Z")[i, k], Load("Z", ("k", "i"))),
    "difference": (x - y, Binary("-", X, Y)),
    "positive terms first": (-x + y, Binary("-", Y, X)),
    "plain entries first": (
        sympy.log(x) + y,
        Binary("+", Y, Call("log", (X,))),
    ),
    "negative": (-x, Negative(X)),
    "quotient": (x / y, Binary("/", X, Y)),
    "reciprocal": (1 / x, Binary("/", Const(1.0), X)),
    "fraction of a product": (
        Rational(2, 3) * x,
        Binary("/", Binary("*", Const(2.0), X), Const(3.0)),
    ),
    "half": (x / 2, Binary("/", X, Const(2.0))),
    "minus half": (-x / 2, Negative(Binary("/", X, Const(2.0)))),
    "square": (x**2, Binary("*", X, X)),
    "square root": (sympy.sqrt(x), Call("sqrt", (X,))),
    "relu": (
        Piecewise((x, x > 0), (0, True)),
        Select(">", X, Const(0.0), X, Const(0.0)),
    ),
    # NaN on either side is the result
    "largest": (Max(x, y), Select(">", Y, X, Y, Select("!=", Y, Y, Y, X))),
    "smallest": (Min(x, y), Select("<", Y, X, Y, Select("!=", Y, Y, Y, X))),
    "largest against 0": (Max(x, 0), Select(">", Const(0.0), X, Const(0.0), X)),
    "sign": (
        sympy.sign(x),
        Select(">", X, Const(0.0), Const(1.0), Select("<", X, Const(0.0), Const(-1.0), X)),
    ),
    "error function": (sympy.erf(x), Call("erf", (X,))),
    "pi": (sympy.pi * x, Binary("*", Const(math.pi), X)),
    "an irrational factor": (sympy.sqrt(2) * x / 2, Binary("*", Const(math.sqrt(0.5)), X)),
    "cube root": (x ** Rational(1, 3), Call("pow", (X, Const(1 / 3)))),
    "reciprocal square root": (
        1 / sympy.sqrt(x),
        Binary("/", Const(1.0), Call("sqrt", (X,))),
    ),
    "half a power": (x ** Rational(3, 2), Binary("*", X, Call("sqrt", (X,)))),
    "half a power below": (
        x ** Rational(-3, 2),
        Binary("/", Const(1.0), Binary("*", X, Call("sqrt", (X,)))),
    ),
    "high power": (x**65, Call("pow", (X, Const(65.0)))),
    "power of decimal": (x ** Float("2.5"), Call("pow", (X, Const(2.5)))),
    "power with a power": (x**y, Call("pow", (X, Y))),
}


@pytest.mark.parametrize(("expression", "value"), FORMS.values(), ids=FORMS)
def test_forms(expression: sympy.Expr, value: Value) -> None:
    assert value_of(expression) == value


def numbers(value: Value, **given: float) -> float:
    """Evaluate a value without axes."""
    program = kernel_program(
        elementwise("T", value),
        inputs=dict.fromkeys(given, ()),
        work={"T": ()},
        outputs=("T",),
    )
    result = interpret(program, {name: np.float64(number) for name, number in given.items()})
    return float(result["T"])


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_every_function_means_what_sympy_means(function: Callable[..., sympy.Expr]) -> None:
    a = scalar("a")
    value = value_of(function(a, evaluate=False))
    assert isinstance(value, Call)
    expected = float(function(Rational(7, 10)).evalf(30))
    assert numbers(value, a=0.7) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("exponent", [*range(-9, 0), *range(1, 10), 63, 64, -64])
def test_whole_powers(exponent: int) -> None:
    value = value_of(Pow(scalar("a"), exponent))
    assert numbers(value, a=1.07) == pytest.approx(1.07**exponent, rel=1e-14)


@pytest.mark.parametrize("twice", [-129, -5, -3, -1, 1, 3, 5, 7, 127])
def test_half_powers_are_square_roots(twice: int) -> None:
    value = value_of(Pow(scalar("a"), Rational(twice, 2)))
    assert numbers(value, a=1.07) == pytest.approx(1.07 ** (twice / 2), rel=1e-14)
    assert ("pow" in str(value)) == (abs(twice) > 128)


def test_a_power_takes_few_multiplications() -> None:
    """x**64 is six squarings of one part, which the emitter names once."""

    def depth(value: Value) -> int:
        return 1 + max(map(depth, parts(value)), default=0)

    assert depth(value_of(Pow(scalar("a"), 64))) == 7


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("left", [-1.0, 0.0, 1.0, math.nan])
def test_comparisons_at_and_beside_the_corner(op: str, left: float) -> None:
    a = scalar("a")
    relation = sympy.Rel(a, 0, op)
    value = value_of(Piecewise((a + 5, relation), (7, True)))
    compare: dict[str, bool] = {
        "<": left < 0,
        "<=": left <= 0,
        ">": left > 0,
        ">=": left >= 0,
        "==": left == 0,
        "!=": left != 0,
    }
    assert numbers(value, a=left) == pytest.approx(left + 5 if compare[op] else 7, nan_ok=True)


def test_three_cases() -> None:
    a = scalar("a")
    value = value_of(Piecewise((-1, a < -1), (1, a > 1), (a, True)))
    assert [numbers(value, a=number) for number in (-3.0, 0.25, 3.0)] == [-1.0, 0.25, 1.0]


def test_the_other_branch_contributes_nothing() -> None:
    a = scalar("a")
    value = value_of(Piecewise((sympy.log(a), a > 0), (0, True)))
    assert numbers(value, a=-1.0) == 0.0


def test_large_entries_cancel_before_what_is_computed_is_added() -> None:
    a, b, c = scalar("a"), scalar("b"), scalar("c")
    value = value_of(a - b - sympy.log(c))
    assert numbers(value, a=1e20, b=1e20, c=math.e) == pytest.approx(-1.0)


@pytest.mark.parametrize("shape", [("n",), ("B",), ("B", "n"), ("n", "m")])
def test_the_batch_axis_comes_last(shape: tuple[str, ...]) -> None:
    tensor = Tensor(name="A", shape=tuple(BATCH if e == "B" else size(e) for e in shape))
    indices = target_indices(tensor.shape)
    (load,) = loads(value_of(tensor[indices]))
    assert sorted(load.axes) == sorted(map(str, indices))
    assert [axis.startswith("i") for axis in load.axes] == sorted(e == "B" for e in shape)


# ---------------------------------------------------------------- what must not pass

REFUSED: dict[str, tuple[sympy.Expr, str]] = {
    "imaginary unit": (sympy.I * x, "I"),
    "infinity": (sympy.oo * x, "oo|Infinity"),
    "not a number": (sympy.nan * x, "NaN|nan"),
    "complex infinity": (sympy.zoo + 0, "zoo|ComplexInfinity"),
    "sum": (sympy.Sum(base("Z")[i, k], (k, 0, 3)), "Sum"),
    "product": (sympy.Product(base("Z")[i, k], (k, 0, 3)), "Product"),
    "step function": (sympy.Heaviside(x), "Heaviside"),
    "impulse": (sympy.DiracDelta(x), "DiracDelta"),
    "gamma function": (sympy.gamma(x), "gamma"),
    "power of two": (exp2(x), "exp2"),
    "a function that nobody defined": (Function("gelu")(x), "gelu"),
    "a function inside one that passes": (sympy.exp(Function("gelu")(x)), "gelu"),
    "derivative": (sympy.Derivative(sin(s), s), "Derivative"),
    "integral": (sympy.Integral(sin(s), s), "Integral"),
    "delta": (sympy.KroneckerDelta(i, k), "KroneckerDelta"),
    "floor": (sympy.floor(s), "floor"),
    "remainder": (sympy.Mod(s, 3), "Mod"),
    "index as a number": (i * x, "index i"),
    "symbolic size as a number": (size("n") * x, "index n"),
    "computed index": (base("x")[i + 1], "index"),
    "fixed index": (base("x")[0], "index"),
    "index that only prints like another": (base("Z")[fresh(), fresh()], "index"),
    "comparison": (sympy.Gt(x, y), "Greater"),
    "truth": (sympy.true, "True"),
    "no default": (Piecewise((x, x > 0)), "default"),
    "two comparisons": (Piecewise((x, (x > 0) & (y > 0)), (0, True)), "one comparison"),
    "one of two comparisons": (Piecewise((x, (x > 0) | (y > 0)), (0, True)), "one comparison"),
    "matrix": (sympy.Matrix([[x]]), "Matrix"),
    "matrix symbol": (sympy.MatrixSymbol("M", 2, 2), "MatrixSymbol"),
    "tuple": (sympy.Tuple(x, y), "Tuple"),
    "whole tensor": (base("x"), "IndexedBase"),
}


@pytest.mark.parametrize(("expression", "named"), REFUSED.values(), ids=REFUSED)
def test_everything_else_is_refused(expression: sympy.Expr, named: str) -> None:
    with pytest.raises(InternalError, match=named):
        value_of(expression)


def test_every_function_of_sympy_is_in_the_table_or_refused() -> None:
    """None passes by a fallback, whatever SymPy adds."""
    found = {
        function
        for function in vars(sympy).values()
        if isinstance(function, type) and issubclass(function, Function)
    }
    assert len(found) > 80
    refused = 0
    for function in sorted(found - {*FUNCTIONS, Max, Min, sympy.sign}, key=str):
        for arity in (1, 2, 3):
            symbols = [Symbol(f"v{n}", real=True, positive=True) for n in range(arity)]
            try:
                call = function(*symbols, evaluate=False)
            except (TypeError, ValueError, AttributeError):
                continue  # SymPy takes another number of arguments
            if not isinstance(call, Function):
                continue
            with pytest.raises(InternalError):
                value_of(call)
            refused += 1
    assert refused > 60


def test_log1p_is_the_one_of_code_generation() -> None:
    assert FUNCTIONS[log1p] == "log1p"
