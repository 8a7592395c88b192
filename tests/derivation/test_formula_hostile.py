"""Formulas that were made to do harm: each refused at once, in its place, with nothing run."""

import json
import subprocess
import sys

import pytest
import sympy
from hostile_formulas import HOSTILE, HOSTILE_LATER, place

from derive.errors import InputError
from derive.formula import parse_definition, parse_formula
from derive.formula_sympy import to_sympy
from derive.formula_tree import Definition

Z = sympy.Symbol("z", real=True)

# run apart, so that time and memory are those of the refusals alone
MEASURED = """
import json, resource, sys, time, tracemalloc
from hostile_formulas import HOSTILE, HOSTILE_LATER
import sympy
from derive.errors import InputError
from derive.formula import parse_formula
from derive.formula_sympy import to_sympy

z = sympy.Symbol("z", real=True)
watched = False
run = []

def watch(event, arguments):
    harmless = event == "compile" or event.startswith(("object.", "sys._getframe", "code."))
    if watched and not harmless:
        run.append(event)

def refuse(text):
    try:
        formula = parse_formula(text, names=["z"])
        if text not in later:
            return False
        to_sympy(formula, {"z": z})
    except InputError:
        return True
    return False

later = {text for text, _ in HOSTILE_LATER.values()}
texts = {name: text for name, (text, _) in {**HOSTILE, **HOSTILE_LATER}.items()}
for text in texts.values():  # what is imported or cached on first use is not theirs
    refuse(text)
to_sympy(parse_formula("where(z > 1, z**2, exp(z))", names=["z"]), {"z": z})
sys.addaudithook(watch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = {}
watched = True
for name, text in texts.items():
    times = []
    for _ in range(3):
        sympy.core.cache.clear_cache()
        start = time.process_time()
        if not refuse(text):
            run.append(f"{name} was accepted")
        times.append(time.process_time() - start)
    seconds[name] = min(times)
eval("0")  # to see that it would be seen
watched = False
tracemalloc.start()
for text in texts.values():
    refuse(text)
peak = tracemalloc.get_traced_memory()[1]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"seconds": seconds, "grown": grown * 1024, "peak": peak, "run": run}))
"""


def caret(message: str) -> tuple[str, int]:
    """Return the line that is shown and the column that the caret points at."""
    *_, line, pointer = message.split("\n")
    assert pointer.strip() == "^"
    return line[2:], pointer.index("^") - 2


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused_in_its_place(name: str) -> None:
    text, where = HOSTILE[name]
    with pytest.raises(InputError) as caught:
        parse_formula(text, names=["z"], what="--define")
    message = str(caught.value)
    assert message.startswith("--define: ")
    assert len(message) < 700
    assert all(c.isprintable() or c == "\n" for c in message)
    line, column = caret(message)
    at = place(text, where)
    begin = max(0, at - 50)
    assert column == at - begin + (begin > 0)
    if at < len(text) and text[at].isascii() and text[at].isprintable():
        assert line[column] == text[at]


@pytest.mark.parametrize("name", HOSTILE_LATER)
def test_is_refused_before_sympy_computes(name: str) -> None:
    text, where = HOSTILE_LATER[name]
    formula = parse_formula(text, names=["z"])
    with pytest.raises(InputError) as caught:
        to_sympy(formula, {"z": Z})
    line, column = caret(str(caught.value))
    assert line[column:].startswith(text[place(text, where) :][:40])


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


def test_refusals_take_no_time_no_memory_and_run_nothing() -> None:
    path = next(p for p in sys.path if p.endswith("support"))
    code = f"import sys; sys.path.insert(0, {path!r})\n{MEASURED}"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["run"] == ["exec"]  # the one of our own
    assert len(found["seconds"]) == len(HOSTILE) + len(HOSTILE_LATER)
    assert {name: s for name, s in found["seconds"].items() if s >= 0.1} == {}
    assert found["grown"] < 50e6
    assert found["peak"] < 50e6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.769e200**0.0232238841222193", 3.769e200**0.0232238841222193),
        ("(3.769e200**(1/3)*z)**0.01234567", (3.769e200 ** (1 / 3) * 2) ** 0.01234567),
    ],
)
def test_a_root_of_a_long_number_is_rounded(text: str, value: float) -> None:
    """SymPy takes whole powers out of roots of each prime factor: these have 10**13 digits."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "import sympy; from derive.formula import parse_formula\n"
        "from derive.formula_sympy import to_sympy\n"
        f"formula = parse_formula({text + ' + z'!r}, names=['z'])\n"
        "print(to_sympy(formula, {'z': sympy.Integer(2)}).evalf(12))"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(ran.stdout) == pytest.approx(value + 2, rel=1e-11)


@pytest.mark.parametrize(
    ("text", "words", "at"),
    [
        ("", "a name for the function", 0),
        ("mish", "expected (", 4),
        ("mish(z)", "= and the formula", 7),
        ("mish(z) == z", "= and the formula", 8),
        ("mish(z, y) = z", "a function has one argument", 6),
        ("mish() = 2", "a name for its argument", 5),
        ("mish(2) = 2", "a name for its argument", 5),
        ("mish(*z) = z", "a name for its argument", 5),
        ("mish.x(z) = z", "expected (", 4),
        ("_mish(z) = z", "begins with an underscore", 0),
        ("__init__(z) = z", "begins with an underscore", 0),
        ("mish(_z) = 2", "begins with an underscore", 5),
        ("lambda(z) = z", "not part of the formula language", 0),
        ("tanh(z) = z", "is a word of the formula language", 0),
        ("sum(z) = z", "is a word of the formula language", 0),
        ("pi(z) = z", "is a word of the formula language", 0),
        ("gelu(z) = z", "is built in", 0),
        ("softmax(z) = z", "is built in", 0),
        ("twice(z) = z", "is defined already", 0),
        ("mish(exp) = exp", "has a meaning", 5),
        ("mish(z) = ", "the formula ends here", 9),
        ("mish(z) = 2", "does not depend on z", 10),
        ("mish(z) = x", 'the name "x" is not known', 10),
        ("mish(z) = mish(z)", 'the function "mish" is not known', 10),
        ("mish(z) = twice(0)/z", "does not depend", None),
        ("mish(z) = z/twice(0)", "the divisor is 0", 12),
        ("mish(z) = inverse(0)*z", "inverse(0) has no value: the divisor is 0", 10),
        ("mish(z\N{CYRILLIC SMALL LETTER IE}) = z", "not printable ASCII", 6),
        ("m(z) = " + "z" * 20_000, "characters, at most", 10_000),
    ],
)
def test_a_hostile_definition_is_refused(text: str, words: str, at: int | None) -> None:
    twice = parse_definition("twice(z) = 2*z")
    inverse = parse_definition("inverse(z) = 1/z")
    if at is None:  # a control: this one is fine
        assert parse_definition(text, definitions=[twice]).name == "mish"
        return
    with pytest.raises(InputError) as caught:
        parse_definition(
            text, definitions=[twice, inverse], activations=["gelu"], reserved=["softmax"]
        )
    assert words in str(caught.value)
    assert caret(str(caught.value))[1] == min(at, 51)


GROWING = {
    "twice as large": ("f0(z) = z + z**2", "f{k}(z) = f{j}(z) + f{j}(2*z)"),
    "deeper": ("f0(z) = tanh(z)", "f{k}(z) = " + "tanh(" * 40 + "f{j}(z)" + ")" * 40),
    "constants": ("f0(z) = z + 1", "f{k}(z) = z*f{j}(1) + f{j}(2)"),
}


@pytest.mark.parametrize("name", GROWING)
def test_definitions_that_grow_are_refused(name: str) -> None:
    first, form = GROWING[name]
    texts = [first, *(form.format(k=k, j=k - 1) for k in range(1, 60))]
    known: list[Definition] = []
    with pytest.raises(InputError, match="with its definitions written out"):
        known.extend(parse_definition(text, definitions=known) for text in texts)
    assert 2 < len(known) < 15


def test_many_definitions_that_stay_small_are_read() -> None:
    known: list[Definition] = []
    for k in range(40):
        inner = f"f{k - 1}(z)" if k else "z"
        known.append(parse_definition(f"f{k}(z) = {inner} + 1", definitions=known))
    formula = parse_formula("f39(z)", names=["z"], definitions=known)
    assert to_sympy(formula, {"z": Z}) == Z + 40
