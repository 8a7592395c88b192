"""The formula language: what is read, what it means, and that writing it loses nothing."""

import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch
from formula_strategies import SYMBOLS, VARIABLES, belongs, expressions, trees
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy.core.relational import Relational

from derive.errors import InputError
from derive.formula import parse_definition, parse_formula
from derive.formula_constants import check_constants, constant_value
from derive.formula_from_sympy import print_sympy
from derive.formula_sympy import to_sympy
from derive.formula_tree import Binary, Call, Formula, Name, Negative, Node, Number, print_formula
from derive.indices import fresh
from derive.program import base
from derive.spec import parse_spec

Z = sympy.Symbol("z", real=True)
POINTS = [-3.0, -1.25, -0.5, 0.375, 1.0, 2.5]


def number(value: int | str) -> Number:
    return Number(value=Fraction(value))


def name(text: str) -> Name:
    return Name(name=text)


def binary(operator: str, left: Node, right: Node) -> Binary:
    return Binary(operator=operator, left=left, right=right)


z = name("z")

READ: dict[str, Node] = {
    "z": z,
    " ( z ) ": z,
    "+z": z,
    "2": number(2),
    ".5": number("1/2"),
    "1.": number(1),
    "1.5e-3": number("3/2000"),
    "2E3": number(2000),
    "0.1": number("1/10"),
    "1e300": number(10**300),
    "-2": Negative(operand=number(2)),
    "--z": Negative(operand=Negative(operand=z)),
    "1-2-3": binary("-", binary("-", number(1), number(2)), number(3)),
    "1-(2-3)": binary("-", number(1), binary("-", number(2), number(3))),
    "1/2/z": binary("/", binary("/", number(1), number(2)), z),
    "1+2*z": binary("+", number(1), binary("*", number(2), z)),
    "(1+2)*z": binary("*", binary("+", number(1), number(2)), z),
    "2**3**2": binary("**", number(2), binary("**", number(3), number(2))),
    "(2**3)**2": binary("**", binary("**", number(2), number(3)), number(2)),
    "-z**2": Negative(operand=binary("**", z, number(2))),
    "(-z)**2": binary("**", Negative(operand=z), number(2)),
    "z**-2": binary("**", z, Negative(operand=number(2))),
    "-z*2": binary("*", Negative(operand=z), number(2)),
    "2*-z": binary("*", number(2), Negative(operand=z)),
    "max( z , 0 )": Call(function="max", arguments=(z, number(0))),
    "sin (pi)": Call(function="sin", arguments=(name("pi"),)),
}


@pytest.mark.parametrize("text", READ)
def test_reads(text: str) -> None:
    assert parse_formula(text, names=["z"]).root == READ[text]


@pytest.mark.parametrize("text", [t for t in READ if len(t) < 12])
def test_groups_as_python_does(text: str) -> None:
    formula = parse_formula(text, names=["z"])
    mine = constant_value(formula, {"z": 1.75})
    theirs = {"z": 1.75, "pi": math.pi, "max": max, "sin": math.sin}
    assert mine == pytest.approx(float(eval(text.strip(), theirs)), rel=1e-15)  # noqa: S307


# a formula, and what it means in NumPy; powers of a negative number are left to PyTorch below
NUMERIC: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp(z)": np.exp,
    "log(1 + z**2)": lambda z: np.log(1 + z**2),
    "log1p(z**2)": lambda z: np.log1p(z**2),
    "expm1(z)": np.expm1,
    "sqrt(1 + z**2)": lambda z: np.sqrt(1 + z**2),
    "tanh(z)": np.tanh,
    "sin(z) + cos(2*z)": lambda z: np.sin(z) + np.cos(2 * z),
    "tan(z/3)": lambda z: np.tan(z / 3),
    "atan(z)": np.arctan,
    "sinh(z) - cosh(z)/2": lambda z: np.sinh(z) - np.cosh(z) / 2,
    "erf(z)": np.vectorize(math.erf),
    "abs(z - 1)": lambda z: np.abs(z - 1),
    "sign(z)*z**2": lambda z: np.sign(z) * z**2,
    "max(z, 0.5) + min(z, -0.5)": lambda z: np.maximum(z, 0.5) + np.minimum(z, -0.5),
    "sigmoid(z)": lambda z: 1 / (1 + np.exp(-z)),
    "where(z > 0, z, exp(z) - 1)": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "where(z <= -1, -1, where(z >= 1, 1, z))": lambda z: np.clip(z, -1, 1),
    "where(z == 1, 7, 3)": lambda z: np.where(z == 1, 7.0, 3.0),
    "where(z != 1, 7, 3)": lambda z: np.where(z != 1, 7.0, 3.0),
    "where(z**2 < 1, z, sign(z))": lambda z: np.where(z**2 < 1, z, np.sign(z)),
    "where(where(z > 0, z, -2*z) > 1.5, 1, z)": lambda z: np.where(
        np.where(z > 0, z, -2 * z) > 1.5, 1, z
    ),
    "where(z > where(z < 0, -1, 2), where(z > 2, 5, 4), z)": lambda z: np.where(
        z > np.where(z < 0, -1, 2), np.where(z > 2, 5, 4), z
    ),
    "2**z - 0.5**z": lambda z: 2.0**z - 0.5**z,
    "z**3/3 - z**-2": lambda z: z**3 / 3 - z**-2.0,
    "(1 + z**2)**0.75": lambda z: (1 + z**2) ** 0.75,
    "(1 + z**2)**-1.5": lambda z: (1 + z**2) ** -1.5,
    "pi*z/180": lambda z: np.pi * z / 180,
    "1e-3*z + .25 - 2.": lambda z: 1e-3 * z - 1.75,
    "-z**2 - -z": lambda z: -(z**2) + z,
    "exp(2*log(1 + z**2))": lambda z: (1 + z**2) ** 2,
    "1.0000001**1000*z": lambda z: math.exp(1e3 * math.log1p(1e-7)) * z,
    "(1.0000001**1000)**1000*z": lambda z: math.exp(1e6 * math.log1p(1e-7)) * z,
    "2**0.5*z + 3**(1/3)": lambda z: math.sqrt(2) * z + 3 ** (1 / 3),
    "z/(1 + abs(z))": lambda z: z / (1 + np.abs(z)),
}


def value(expression: sympy.Expr, point: float) -> float:
    return float(sympy.N(expression.subs(Z, sympy.Float(point, 30)), 25))


@pytest.mark.parametrize("text", NUMERIC)
def test_means_what_numpy_computes(text: str) -> None:
    formula = parse_formula(text, names=["z"])
    expression = to_sympy(formula, {"z": Z})
    expected = NUMERIC[text](np.array(POINTS))
    np.testing.assert_allclose([value(expression, p) for p in POINTS], expected, rtol=1e-13)
    constants = [constant_value(formula, {"z": p}) for p in POINTS]
    np.testing.assert_allclose(np.array(constants, float), expected, rtol=1e-9)


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "z*tanh(log(1 + exp(z)))": torch.nn.functional.mish,
    "z*sigmoid(z)": torch.nn.functional.silu,
    "z/2*(1 + erf(z/sqrt(2)))": torch.nn.functional.gelu,
    "z/2*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3)))": lambda z: torch.nn.functional.gelu(
        z, approximate="tanh"
    ),
    "where(z > 0, z, expm1(z))": torch.nn.functional.elu,
    "where(z > 0, z, 0.01*z)": torch.nn.functional.leaky_relu,
    "1.0507009873554805*where(z > 0, z, 1.6732632423543772*expm1(z))": torch.nn.functional.selu,
    "max(0, min(6, z))": torch.nn.functional.relu6,
    "z*max(0, min(1, (z + 3)/6))": torch.nn.functional.hardswish,
    "max(0, min(1, (z + 3)/6))": torch.nn.functional.hardsigmoid,
    "where(abs(z) > 0.5, z, 0)": torch.nn.functional.hardshrink,
    "sign(z)*max(0, abs(z) - 0.5)": torch.nn.functional.softshrink,
    "z - tanh(z)": torch.nn.functional.tanhshrink,
    "z/(1 + abs(z))": torch.nn.functional.softsign,
    "-log1p(exp(-z))": torch.nn.functional.logsigmoid,
    "exp(-z**2/2)": lambda z: torch.exp(-(z**2) / 2),
}


@pytest.mark.parametrize("text", ACTIVATIONS)
def test_means_what_pytorch_computes(text: str) -> None:
    expression = to_sympy(parse_formula(text, names=["z"]), {"z": Z})
    expected = ACTIVATIONS[text](torch.tensor(POINTS, dtype=torch.float64)).numpy()
    found = [value(expression, p) for p in POINTS]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_numbers_stay_exact() -> None:
    expression = to_sympy(parse_formula("0.1*z + 1/3 + 2**-3", names=["z"]), {"z": Z})
    assert expression == sympy.Rational(1, 10) * Z + sympy.Rational(11, 24)


with mpmath.workdps(150):
    REDUCED = mpmath.atan(mpmath.tan(mpmath.mpf(10) ** 112))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where(4e-186 < sinh(4e-186), z, 2)", Z),  # SymPy by itself: seconds
        ("where(exp(-500) < sinh(exp(-500)), 1, z)", Z),
        ("where((1 + 1e-200)**0.5 > 1 + 0.5e-200, 1, z)", Z),
        ("max(max(z, exp(-500)), sinh(exp(-500)))", sympy.Max(Z, sympy.exp(-500).evalf(17))),
        ("z*atan(tan(1e112))", Z * sympy.Float(REDUCED, 17)),
        ("z + log1p(1e-70)/1e-70", Z + 1),
        ("where(z == 5411e277, 1, 0.5)**4809e-247 + z", Z + 1),
        ("max(z, 1e-12)", sympy.Max(Z, sympy.Rational(1, 10**12))),
        ("z*sqrt(2/pi)", Z * sympy.sqrt(2 / sympy.pi)),
        ("z + log(2)", Z + sympy.log(2)),
    ],
)
def test_constants_that_are_hard_to_compare_are_rounded(text: str, expected: sympy.Expr) -> None:
    found = to_sympy(parse_formula(text, names=["z"]), {"z": Z})
    assert sympy.N(found - expected, 15, subs={Z: 0.3}) == pytest.approx(0, abs=1e-14)
    assert sympy.N(found, 15, subs={Z: -0.3}) == pytest.approx(
        float(sympy.sympify(expected, strict=True).subs(Z, -0.3)), abs=1e-14
    )


def test_a_definition_may_call_those_before() -> None:
    softplus = parse_definition("softplus(t) = log(1 + exp(t))")
    mish = parse_definition("mish(z) = z*tanh(softplus(z))", definitions=[softplus])
    twice = parse_definition("twice(z) = mish(2*mish(z))", definitions=[softplus, mish])
    assert str(twice) == "twice(z) = mish(2*mish(z))"
    assert twice.formula.definitions == (softplus, mish)

    def written_out(u: sympy.Expr) -> sympy.Expr:
        return u * sympy.tanh(sympy.log(1 + sympy.exp(u)))

    assert to_sympy(twice.formula, {"z": Z}) == written_out(2 * written_out(Z))


def test_a_definition_may_call_activations() -> None:
    formula = parse_definition("f(z) = relu(z)**2", activations=["relu"]).formula
    assert to_sympy(formula, {"z": Z}, activations={"relu": sympy.Abs}) == Z**2


def test_a_loss_sums_over_the_outputs() -> None:
    P, Y = base("P"), base("Y")
    formula = parse_formula(
        "-sum(Y*(1 - P)**2*log(P))/sum(1)", names=["P", "Y", "Z"], allow_sum=True
    )
    assert formula.names == ("P", "Y")
    k = fresh()
    found = to_sympy(
        formula,
        {},
        total=lambda term: sympy.Sum(term({"P": P[k], "Y": Y[k]}), (k, 0, 4)),
    )
    focal = sympy.Sum(Y[k] * (1 - P[k]) ** 2 * sympy.log(P[k]), (k, 0, 4))
    assert found == -focal / sympy.Sum(1, (k, 0, 4))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-Y*log(P)", '"Y" has a value for each output'),
        ("sum(P) + P", '"P" has a value for each output'),
        ("sum(P*sum(Y))", "one sum stands inside another"),
        ("where(sum(P) > P, 1, 2)", '"P" has a value for each output'),
        ("sum(Q)", 'the name "Q" is not known'),
        ("mean(P)", "Write sum(...)/sum(1)"),
        ("sum(P, Y)", "sum takes one argument; given: 2"),
    ],
)
def test_a_loss_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_formula(text, names=["P", "Y", "Z"], allow_sum=True, what="--loss")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tahn(z)", 'Did you mean "tanh"?'),
        ("sqr(z)", 'Did you mean "sqrt"?'),
        ("sigmiod(z)", 'Did you mean "sigmoid"?'),
        ("ln(z)", 'Did you mean "log"?'),
        ("relu(z)", "Write where(z > 0, z, 0)."),
        ("pow(z, 2)", "Write ** for a power."),
        ("z^2", "write ** for a power"),
        ("2z", 'Write "2*z" for a product'),
        ("2(z + 1)", "an operator is missing"),
        ("z\N{SUPERSCRIPT TWO}", 'Write "**2"'),
        ("z \N{MULTIPLICATION SIGN} z", 'Write "*"'),
        ("\N{GREEK SMALL LETTER PI}*z", 'Write "pi"'),
        ("z if z > 0 else 0", "write where(c, a, b)"),
        ("where(z > 0 and z < 1, 1, 0)", "nest one where in another"),
        ("where(z = 0, 1, 0)", "write == to compare"),
        ("exp z", "an operator is missing"),
        ("tanh", "Write tanh(...)"),
        ("7/007", "Write 7"),
    ],
)
def test_a_refusal_says_the_way_out(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_formula(text, names=["z"])
    assert hint in str(caught.value)


def test_a_refusal_shows_the_line() -> None:
    with pytest.raises(InputError) as caught:
        parse_formula("z*tahn(z)", names=["z"], what="--define")
    known = "exp, log, log1p, expm1, sqrt, tanh, sin, cos, tan, atan, sinh, cosh, erf, abs, sign"
    assert str(caught.value) == (
        '--define: the function "tahn" is not known. Did you mean "tanh"? '
        f"Known: {known}, sigmoid, max, min, where.\n  z*tahn(z)\n    ^"
    )


def test_a_refusal_names_each_known_function_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_spec("2-3:f-2", define=["f(z) = f(z)"])
    names = str(caught.value).split("Known: ")[1].split(".")[0].split(", ")
    assert {"tanh", "sin", "softplus"} <= set(names)
    assert len(names) == len(set(names))


LIMITS = {
    "500 nodes": "-" + "+".join(["z"] * 250),
    "50 brackets": "(" * 50 + "z" + ")" * 50,
    "50 calls": "tanh(" * 50 + "z" + ")" * 50,
    "50 signs": "-" * 50 + "z",
    "50 powers": "z" + "**1" * 50,
    "10,000 characters": "z" + " " * 9_999,
    "exponent 1000": "z**1000",
    "exponent -1000": "z**-1000",
    "largest number": "1.7976931348623157e308*z",
    "smallest number": "5e-324*z",
}


@pytest.mark.parametrize("what", LIMITS)
def test_the_limits_themselves_are_allowed(what: str) -> None:
    formula = parse_formula(LIMITS[what], names=["z"])
    assert to_sympy(formula, {"z": Z}).has(Z)
    again = parse_formula(print_formula(formula), names=["z"])
    assert again == formula
    assert hash(again) == hash(formula)


def test_a_long_formula_is_computed_without_deep_recursion() -> None:
    text = "+z*".join(["z"] * 124)
    formula = parse_formula(text, names=["z"])
    assert constant_value(formula, {"z": 2.0}) == 2 + 123 * 4


def is_constant_safe(formula: Formula) -> bool:
    try:
        check_constants(formula)
    except InputError:
        return False
    return True


@settings(max_examples=150)
@given(trees)
def test_what_is_written_is_read_back(tree: Node) -> None:
    text = print_formula(tree)
    if is_constant_safe(Formula(root=tree)):
        formula = parse_formula(text, names=VARIABLES)
        assert formula == Formula(root=tree)
        assert str(formula) == text
    else:  # both must refuse it
        with pytest.raises(InputError):
            parse_formula(text, names=VARIABLES)


@given(trees, st.integers(0, 2**32 - 1))
def test_no_bracket_is_needless(tree: Node, seed: int) -> None:
    text = print_formula(tree)
    pairs = []
    opened = []
    for at, character in enumerate(text):
        if character == "(":
            opened.append(at)
        elif character == ")":
            start = opened.pop()
            called = start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_")
            if not called and text[start + 1] != "-":  # brackets round a sign are for the reader
                pairs.append((start, at))
    if not pairs:
        return
    start, end = pairs[seed % len(pairs)]
    bare = text[:start] + " " + text[start + 1 : end] + " " + text[end + 1 :]
    try:
        again = parse_formula(bare, names=VARIABLES)
    except InputError:
        return
    assert again.root != tree


@settings(deadline=None, max_examples=150)
@given(expressions)
def test_what_sympy_holds_is_written_and_read_back(expression: sympy.Expr) -> None:
    assume(belongs(expression))
    text = print_sympy(expression)
    formula = parse_formula(text, names=VARIABLES)
    values = dict(zip(VARIABLES, SYMBOLS, strict=True))
    assert to_sympy(formula, values) == expression


@settings(deadline=None, max_examples=100)
@given(trees)
def test_conditions_stay_comparisons(tree: Node) -> None:
    """SymPy joins branches of equal value by ``or``, which no programme has."""
    assume(is_constant_safe(Formula(root=tree)))  # a parser refuses the others
    try:
        expression = to_sympy(Formula(root=tree), dict(zip(VARIABLES, SYMBOLS, strict=True)))
    except InputError:
        return
    for choice in expression.atoms(sympy.Piecewise):
        (_, condition), (_, last) = choice.args
        assert isinstance(condition, Relational)
        assert last == True  # noqa: E712  SymPy's own true


def test_branches_of_equal_value_or_slope_are_not_joined() -> None:
    formula = parse_formula("where(z < 0, z, where(z > 1, z, z**2))", names=["z"])
    expression = to_sympy(formula, {"z": Z})
    for choices in (expression, expression.diff(Z)):
        conditions = {c for p in choices.atoms(sympy.Piecewise) for _, c in p.args}
        assert conditions == {Z < 0, Z > 1, sympy.true}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (1 / (1 + sympy.exp(-Z)), "1/(1 + exp(-z))"),
        (Z**2 / 2 - Z / 3, "z**2/2 - z/3"),
        (sympy.sqrt(Z) / Z**3, "1/z**(5/2)"),
        (sympy.Piecewise((Z, Z > 0), (0, True)), "where(z > 0, z, 0)"),
        (sympy.Max(Z, 0) * sympy.pi, "pi*max(0, z)"),
    ],
)
def test_writes_sympy_as_a_person_would(expression: sympy.Expr, text: str) -> None:
    assert print_sympy(expression) == text


@pytest.mark.parametrize(
    "expression",
    [sympy.gamma(Z), sympy.I * Z, sympy.Derivative(Z**2, Z), sympy.oo, sympy.Float("0.1")],
)
def test_what_the_language_lacks_is_not_written(expression: sympy.Expr) -> None:
    with pytest.raises(InputError, match="cannot be written in the formula language"):
        print_sympy(expression)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        formula = parse_formula(text, names=["z"])
    except InputError:
        return  # any other error fails the test
    assert parse_formula(str(formula), names=["z"]) == formula


WORDS = ["z", "pi", "2", "0.5", "exp", "where", "max", "(", ")", ",", "+", "-", "*", "/", "**"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*WORDS, ">", "==", " "]), max_size=25))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    """The check on tokens lets nothing through that Python's parser would refuse."""
    try:
        parse_formula("".join(words), names=["z"])
    except InputError:
        return  # any other error fails the test


def test_reading_a_formula_needs_no_sympy() -> None:
    code = """
import sys
from derive.spec import parse_spec
from derive.formula import parse_definition
parse_definition("mish(z) = z*tanh(log(1 + exp(z)))")
assert not {"sympy", "numpy", "mpmath"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
