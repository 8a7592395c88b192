"""The upper rungs, and the certificate: arithmetic, chance, what is out of reach, printing."""

import json
from dataclasses import replace

import pytest
import sympy
from catalogue import named, network, raw_gradient, rewritten_gradient
from mutants import mutants
from sympy import Rational

from derive.gradient import gradient_program, vjp_program
from derive.latex_report import latex_prose
from derive.network import loss_program
from derive.program import Program, size
from derive.proof import Certificate, Claim, modular_check, numeric_check, prove, prove_network
from derive.proof.degree import chance_of_luck
from derive.proof.explicit import Explicit, small_sizes
from derive.proof.prime import PRIME, NoSuchPointError, Prime
from derive.proof.reach import OutOfReachError
from derive.rewrite import rewrite_program
from derive.spec import parse_spec

U, V = 12345, 67890
ONE = Rational(1)


@pytest.fixture
def prime() -> Prime:
    return Prime(7)


def test_the_prime_is_one_with_roots_of_minus_one_and_two(prime: Prime) -> None:
    assert sympy.isprime(PRIME)
    assert PRIME % 8 == 1
    for value in (PRIME - 1, 2):
        assert prime.root(value, 2) ** 2 % PRIME == value
    with pytest.raises(NoSuchPointError):
        prime.root(7, 2)
    with pytest.raises(OutOfReachError, match="degree 3"):
        prime.root(8, 3)


def test_exponentials_obey_their_rules(prime: Prime) -> None:
    def exp(*terms: tuple[Rational, int]) -> int:
        return prime.function(sympy.exp, terms)

    assert exp((ONE, U), (ONE, V)) == exp((ONE, U)) * exp((ONE, V)) % PRIME
    assert exp((-ONE, U)) * exp((ONE, U)) % PRIME == 1
    assert exp((ONE, PRIME - U)) == exp((-ONE, U))
    assert exp((ONE, 2 * U)) == exp((ONE, U)) ** 2 % PRIME
    assert exp((Rational(1, 2), U)) ** 2 % PRIME == exp((ONE, U))
    assert exp((ONE, U)) != exp((ONE, V))
    assert exp((ONE, 0)) == 1


def test_other_functions_obey_theirs(prime: Prime) -> None:
    def at(function: type[sympy.Expr], value: int = U) -> int:
        return prime.function(function, [(ONE, value)])

    assert (at(sympy.sin) ** 2 + at(sympy.cos) ** 2) % PRIME == 1
    assert (at(sympy.cosh) ** 2 - at(sympy.sinh) ** 2) % PRIME == 1
    assert at(sympy.tanh) * at(sympy.cosh) % PRIME == at(sympy.sinh)
    assert at(sympy.tan) * at(sympy.cos) % PRIME == at(sympy.sin)
    assert (at(sympy.cosh) + at(sympy.sinh)) % PRIME == at(sympy.exp)
    assert (at(sympy.erf) + at(sympy.erf, PRIME - U)) % PRIME == 0
    assert at(sympy.log) == at(sympy.log) != at(sympy.log, V)
    assert prime.above(U) == prime.above(3 * U)
    assert (prime.above(U) + prime.above(PRIME - U)) % PRIME == 1


@pytest.mark.parametrize("depth", [0, 1, 4, 12, 30])
def test_any_depth_is_checked(depth: int) -> None:
    spec = network([f"n{n}" for n in range(depth + 2)], ("tanh", "relu", "sigmoid", "softmax"))
    for program in (raw_gradient(spec), rewritten_gradient(spec)):
        claims = modular_check(program)
        assert len(claims) == 2 * (depth + 1)
        assert {claim.status for claim in claims} == {"checked"}
        assert all(0 < (claim.error_bound or 0) < 1e-12 for claim in claims)


def test_vector_jacobian_products_are_checked() -> None:
    program = vjp_program(loss_program("n0-n1:relu-n2"))
    for rung in (modular_check, numeric_check):
        claims = rung(program)
        assert "dX" in [claim.about for claim in claims]
        assert all(claim.status == "checked" for claim in claims)
    wrong = [m for m in mutants(program) if m.where == "dX" and m.kind == "wrong sign"]
    for rung in (modular_check, numeric_check):
        assert [c.about for c in rung(wrong[0].program) if c.fails] == ["dX"]


def test_the_chance_of_luck_bounds_a_known_degree() -> None:
    """``dW - sum (P - Y) X`` and the slope of the loss have a degree that one can count."""
    program = raw_gradient(network(("n0", "n1"), output="identity", loss="mse"))
    explicit = Explicit(program, small_sizes(program))
    chance = chance_of_luck(explicit, ("loss",), ("dW1", "db1"))
    # (X W + b - Y)**2 has the slope 2 (X W + b - Y) X V: degree 2, and 2 with the direction
    assert chance * PRIME == pytest.approx(2 + 2)


def test_a_degree_grows_in_proportion_to_depth() -> None:
    def chance(depth: int) -> float:
        spec = network([f"n{n}" for n in range(depth + 2)])
        return modular_check(rewritten_gradient(spec))[0].error_bound or 0

    assert chance(40) < 3 * chance(20) < 9 * chance(10)


def test_what_is_out_of_reach_is_not_attempted() -> None:
    program = raw_gradient(network((784, 100, 10)))
    for rung in (modular_check, numeric_check):
        (claim,) = rung(program)
        assert claim.status == "not attempted"
        assert "entries" in claim.reason


CERTIFICATE = prove(rewritten_gradient(network(("n0", "n1", "n2"), ("relu",))))


def test_a_certificate_says_what_was_shown_and_how() -> None:
    assert CERTIFICATE.ok
    rungs = list(dict.fromkeys(claim.rung for claim in CERTIFICATE.claims))
    assert rungs == [
        "statement by statement",
        "whole programme",
        "modulo a prime",
        "identities",
        "numeric",
    ]
    text = str(CERTIFICATE)
    for part in (
        "For B = 2, n2 = 3, n1 = 4, n0 = 5",
        "proved: dZ2, dW2, db2, dH1, dZ1, dW1, db1",
        "a wrong one passes with a chance of at most",
        "Assumed: every row of Y sums to 1",
        "Assumed: at a corner or a tie",
    ):
        assert part in " ".join(text.split()), text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert all(claim.seconds > 0 for claim in CERTIFICATE.claims)


def test_every_assumption_is_one_that_was_used() -> None:
    smooth = prove(rewritten_gradient(network(("n0", "n1"), output="sigmoid", loss="mse")))
    assert not any("row of Y" in a or "corner" in a for a in smooth.assumptions)
    assert not any(claim.rung == "identities" for claim in smooth.claims)


def test_a_certificate_is_json() -> None:
    claims = json.loads(json.dumps(CERTIFICATE.to_json()))
    assert all({"claim", "method", "status", "seconds"} <= claim.keys() for claim in claims)
    assert "B = 2" in claims[0]["method"]


def test_a_certificate_prints_in_every_format() -> None:
    assert CERTIFICATE.to_markdown().startswith("| rung | how | outcome | s |")
    assert CERTIFICATE.to_html().count("<tr>") == 5
    latex = CERTIFICATE.to_latex(latex_prose)
    assert latex.startswith(r"\begin{enumerate}")
    assert latex.isascii()
    assert CERTIFICATE._repr_html_() == CERTIFICATE.to_html()


def test_a_certificate_of_a_wrong_gradient_names_the_statement() -> None:
    wrong = next(m for m in mutants(rewritten_gradient(network(("n0", "n1")))) if m.where == "dW1")
    certificate = prove(wrong.program)
    assert not certificate.ok
    assert {claim.about for claim in certificate.failures} == {"dW1"}
    assert "dW1[0, 0] differs" in str(certificate)


def test_nothing_shown_is_not_ok() -> None:
    claim = Claim(claim="c", method="m", status="not attempted", rung="r", about="a", reason="why")
    assert not Certificate(claims=(claim,)).ok


def derived(spec: object) -> Program:
    return rewrite_program(gradient_program(loss_program(spec)))  # type: ignore[arg-type]


def test_a_large_network_is_proved_by_way_of_names() -> None:
    certificate = prove_network(parse_spec("784-100:relu-10"), derived)
    assert certificate.ok
    assert certificate.claims[0].rung == "sizes"
    assert "n0 = 784, n1 = 100, n2 = 10" in certificate.claims[0].method


def test_equal_names_are_told_apart() -> None:
    certificate = prove_network(parse_spec("n-n-n"), derived)
    assert certificate.ok
    assert certificate.sizes == ("B = 2, n2 = 3, n1 = 4, n0 = 5",)


def test_a_programme_that_is_not_the_general_one_is_proved_itself() -> None:
    spec = network((3, 2))
    program, general = rewritten_gradient(spec), rewritten_gradient(named(spec))
    statement = program.statement("dW1")
    wrong = replace(statement, body=-statement.body)
    changed = replace(
        program, statements=tuple(wrong if s is statement else s for s in program.statements)
    )
    certificate = prove(changed, general=general, sizes={size("n0"): size(3), size("n1"): size(2)})
    assert {claim.about for claim in certificate.failures} == {"dW1"}
