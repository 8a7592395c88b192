"""The proofs prove what is right, and reject everything of the stock that is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy
from catalogue import ACTIVATIONS, LOSSES, network, raw_gradient, rewritten_gradient
from mutants import mutants, one_of_each_kind
from oracles import Oracle, draw_case
from sympy import Expr, Piecewise

from derive.errors import InternalError
from derive.gradient import vjp_program
from derive.network import loss_program
from derive.program import Program, size
from derive.proof import LADDER, local_proof, modular_check, prove, whole_proof
from derive.proof.algebra import Algebra
from derive.proof.explicit import Explicit, small_sizes
from derive.proof.identities import identity_proof
from derive.proof.reach import OutOfReachError
from derive.rewrite import rewrite_program
from derive.spec import NetworkSpec
from derive.stable import stable_program

# two hidden layers of the same width, where transposing W2 is a mistake that keeps shapes
SQUARE = network(("n0", "n1", "n1", "n2"))
SIGMOID = network(("n0", "n1", "n2"), ("sigmoid",), "sigmoid", "mse")
SOFTMAX = network(("n0", "n1", "n2"), ("softmax",), "softmax", "mse")
WRONG = {
    f"{label}, {form.__name__.removesuffix('_gradient')}": mutants(form(spec))
    for label, spec in {"tanh": SQUARE, "sigmoid": SIGMOID, "softmax": SOFTMAX}.items()
    for form in (raw_gradient, rewritten_gradient)
}
SPECS = {"tanh": SQUARE, "sigmoid": SIGMOID, "softmax": SOFTMAX}


def test_the_stock_holds_what_people_get_wrong() -> None:
    kinds = {mutant.kind for stock in WRONG.values() for mutant in stock}
    assert kinds >= {
        "dropped factor",
        "dropped term",
        "transposed",
        "wrong sign",
        "missing mean",
        "wrong point",
        "wrong operand",
        "not squared",
    }
    assert sum(map(len, WRONG.values())) > 400


@pytest.mark.parametrize("label", WRONG)
def test_numbers_reject_every_mutant(label: str) -> None:
    spec = SPECS[label.split(",")[0]]
    sizes = [{"n0": 3, "n1": 4, "n2": 5}[str(n)] for n in spec.sizes]
    numeric = network(sizes, spec.activations[:-1], spec.activations[-1], spec.loss)
    right = raw_gradient(spec) if label.endswith("raw") else rewritten_gradient(spec)
    oracle = Oracle(numeric, draw_case(numeric, 6, seed=1), right)
    assert oracle.agrees(right)
    accepted = [mutant for mutant in WRONG[label] if oracle.agrees(mutant.program)]
    assert not accepted, "\n".join(map(str, accepted))


@pytest.mark.parametrize("label", WRONG)
def test_the_local_proof_rejects_every_kind_of_mutant(label: str) -> None:
    for mutant in one_of_each_kind(WRONG[label]):
        failed = [claim.claim for claim in local_proof(mutant.program) if not claim.holds]
        assert failed, str(mutant)
        # and says where: the other statements are right given this one
        assert all(claim.startswith(f"{mutant.where} ") for claim in failed), str(mutant)


@pytest.mark.slow
@pytest.mark.parametrize("label", WRONG)
def test_the_local_proof_rejects_every_single_mutant(label: str) -> None:
    for mutant in WRONG[label]:
        assert not all(claim.holds for claim in local_proof(mutant.program)), str(mutant)


@pytest.mark.parametrize("form", [raw_gradient, rewritten_gradient])
def test_the_whole_proof_rejects_every_kind_of_mutant(form: Callable[..., Program]) -> None:
    sizes = {size("B"): 2, size("n0"): 1, size("n1"): 3, size("n2"): 4}
    deep = mutants(form(network(("n0", "n1", "n2"), output="identity", loss="mse")))
    flat = mutants(form(network(("n0", "n1"), output="sigmoid", loss="mse")))
    # where the output is the identity, Z2 in the place of P is no mistake
    stock = [mutant for mutant in deep if mutant.kind != "wrong operand"]
    for mutant in (*one_of_each_kind(stock), *one_of_each_kind(flat)):
        assert not all(claim.holds for claim in whole_proof(mutant.program, sizes)), str(mutant)


EACH = sorted(
    {(hidden, "softmax", "cross-entropy") for hidden in ACTIVATIONS}
    | {("tanh", output, loss) for output in ACTIVATIONS for loss in LOSSES}
)


@pytest.mark.sweep
@pytest.mark.parametrize(("hidden", "output", "loss"), EACH)
def test_every_statement_is_proved(hidden: str, output: str, loss: str) -> None:
    spec = network(("n0", "n1", "n2"), (hidden,), output, loss)
    for program in (raw_gradient(spec), rewritten_gradient(spec)):
        claims = local_proof(program)
        assert len(claims) >= 4
        assert [str(claim) for claim in claims if not claim.holds] == []


@pytest.mark.parametrize("depth", [0, 2, 12])
def test_the_local_proof_reaches_any_depth(depth: int) -> None:
    sizes = (2, *(3 + layer % 2 for layer in range(depth)), 2)
    assert all(claim.holds for claim in local_proof(rewritten_gradient(network(sizes))))


def test_vector_jacobian_products_are_proved() -> None:
    program = vjp_program(loss_program("n0-n1:relu-n2"))
    for form in (program, rewrite_program(program)):
        claims = local_proof(form)
        assert "dX is the derivative in X through Z1" in [claim.claim for claim in claims]
        assert all(claim.holds for claim in claims)


WHOLE = {
    "no hidden layer": network(("n0", "n1")),
    "tanh": network(("n0", "n1", "n2"), output="identity", loss="mse"),
    "sigmoid": network(("n0", "n1", "n2"), ("sigmoid",), "sigmoid"),
    "relu": network(("n0", "n1", "n2"), ("relu",), "identity", "mse"),
}


@pytest.mark.parametrize("spec", WHOLE.values(), ids=WHOLE)
def test_the_whole_programme_is_proved_at_once(spec: NetworkSpec) -> None:
    claims = whole_proof(rewritten_gradient(spec))
    assert len(claims) == 2 * spec.depth
    assert all(claim.holds for claim in claims)


def test_the_programme_as_the_rule_gives_it_is_proved_at_once() -> None:
    assert all(claim.holds for claim in whole_proof(raw_gradient(WHOLE["tanh"])))


def test_two_hidden_layers_are_proved_at_once() -> None:
    spec = network(("n0", "n1", "n2", "n3"), output="identity", loss="mse")
    program = rewritten_gradient(spec)
    sizes = {size("B"): 2, size("n0"): 1, size("n1"): 4, size("n2"): 3, size("n3"): 5}
    claims = whole_proof(program, sizes)
    assert [claim.claim for claim in claims][:2] == ["dW1 = d loss / d W1", "db1 = d loss / d b1"]
    assert all(claim.holds for claim in claims)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu", "identity"])
def test_two_hidden_layers_of_all_different_widths(hidden: str) -> None:
    spec = network(("n0", "n1", "n2", "n3"), (hidden,))
    assert all(claim.holds for claim in whole_proof(rewritten_gradient(spec)))


def test_a_large_programme_is_left_to_the_other_rung() -> None:
    program = raw_gradient(network((20, 30, 10)))
    (claim,) = whole_proof(program)
    assert claim.status == "not attempted"
    assert "2261 entries; written out at once are at most 400" in str(claim)
    assert not claim.holds
    assert not claim.fails
    assert LADDER[:4] == (local_proof, whole_proof, modular_check, identity_proof)


def test_a_gradient_that_is_missing_is_not_proved() -> None:
    program = raw_gradient(network(("n0", "n1")))
    pairs = tuple(pair for pair in program.cotangents if pair[0] != "b1")
    lacking: Program = replace(program, cotangents=pairs)
    failed = [claim for claim in local_proof(lacking) if not claim.holds]
    assert [claim.claim for claim in failed] == ["b1 has a gradient"]
    assert failed[0].to_json()["status"] == "not proved"


def test_programmes_are_proved_before_their_stable_form() -> None:
    certificate = prove(stable_program(raw_gradient(network(("n0", "n1")))))
    left = [claim for claim in certificate.claims if claim.rung == "statement by statement"]
    assert {claim.status for claim in left} == {"not attempted"}
    assert "before its stable form" in left[0].reason


def test_sizes_are_all_different() -> None:
    sizes = small_sizes(loss_program("na-3-nb-nc"))
    assert len(set(sizes.values()) | {3}) == len(sizes) + 1
    assert min(sizes.values()) == 2


def test_entries_are_written_out() -> None:
    program = loss_program("2-3:tanh-2")
    explicit = Explicit(program, {size("B"): 2})
    assert str(explicit.body(program.statement("Z1"), (1, 0))) == (
        "W1[0, 0]*X[1, 0] + W1[0, 1]*X[1, 1] + b1[0]"
    )


x, y, t = sympy.symbols("x y t", real=True)
E1, E2 = sympy.exp(x), sympy.exp(y)
RELU = Piecewise((x, x > 0), (0, True))
ZERO = {
    "binomial": (x + y) ** 2 - x**2 - 2 * x * y - y**2,
    "quotients": 1 / (x + 1) - 1 / (x + 2) - 1 / ((x + 1) * (x + 2)),
    "nested quotients": 1 / (1 + 1 / (1 + x)) - (1 + x) / (2 + x),
    "softmax": E1 / (E1 + E2) + E2 / (E1 + E2) - 1,
    "sigmoid": sympy.exp(-x) / (1 + sympy.exp(-x)) ** 2 - E1 / (1 + E1) ** 2,
    "powers of exp": sympy.exp(2 * x) / sympy.exp(-x / 2) - sympy.exp(x / 2) ** 5,
    "tanh": (1 - sympy.tanh(x * (y + 1)) ** 2) - (1 - sympy.tanh(x * y + x) ** 2),
    "log": sympy.log(x + y) - sympy.log(y + x),
    "relu twice": RELU * Piecewise((1, x > 0), (0, True)) - RELU,
    "relu of a sum": Piecewise((1, x + y > t), (0, True)) - Piecewise((1, y > t - x), (0, True)),
    "pi": sympy.pi * x - x * sympy.pi,
    "pole": Piecewise((1, x > 0), (0, True)) * (t / RELU - t / RELU * y / y),
}
NOT_ZERO = {
    "a number": sympy.Rational(1, 10**30),
    "a sum": x + y,
    "a quotient": 1 / (x + 1) - 1 / (x + 2),
    "another function": sympy.tanh(x) - sympy.sin(x),
    "another argument": sympy.tanh(x) - sympy.tanh(y),
    "softmax": E1 / (E1 + E2) + E2 / (E1 + E2) ** 2 - 1,
    "relu": RELU - x,
    "comparison the other way": Piecewise((1, x > 0), (0, True)) - Piecewise((1, x < 0), (0, True)),
    "the prime": sympy.Integer(2**61 - 1) * x,
}


@pytest.mark.parametrize("expression", ZERO.values(), ids=ZERO)
def test_zero_is_seen(expression: Expr) -> None:
    assert Algebra().is_zero(expression)


@pytest.mark.parametrize("expression", NOT_ZERO.values(), ids=NOT_ZERO)
def test_what_is_not_zero_is_not_called_so(expression: Expr) -> None:
    assert not Algebra().is_zero(expression)


def test_a_relation_that_is_not_known_is_only_missed() -> None:
    assert not Algebra().is_zero(sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1)


def test_a_proof_is_about_exact_numbers() -> None:
    with pytest.raises(InternalError, match="exact numbers"):
        Algebra().is_zero(0.5 * x)


KINKS = {
    "max is even-handed": sympy.Max(x, y) - (x + y + sympy.Abs(x - y)) / 2,
    "slope of max": sympy.Heaviside(x - y) - (1 + sympy.sign(x - y)) / 2,
    "slope of sign": sympy.DiracDelta(x),
    "not above is at most": Piecewise((1, x <= y), (0, True))
    + Piecewise((1, x > y), (0, True))
    - 1,
    "turned": Piecewise((1, x - y > 0), (0, True)) - Piecewise((1, 2 * y < 2 * x), (0, True)),
    "relu of relu": Piecewise((1, RELU > 0), (0, True)) - Piecewise((1, x > 0), (0, True)),
    "root": sympy.sqrt(x + y) ** 3 / (x + y) - sympy.sqrt(x + y),
    "log1p": sympy.codegen.cfunctions.log1p(x) - sympy.log(1 + x),
}
NO_KINKS = {
    "above is at least": Piecewise((1, x >= y), (0, True)) - Piecewise((1, x > y), (0, True)),
    "sign is not above": sympy.sign(x) - Piecewise((1, x > 0), (0, True)),
    "a value that may be below 0": sympy.Abs(sympy.tanh(x)) - sympy.tanh(x),
}


@pytest.mark.parametrize("expression", KINKS.values(), ids=KINKS)
def test_zero_is_seen_at_kinks(expression: Expr) -> None:
    assert Algebra().is_zero(expression)


@pytest.mark.parametrize("expression", NO_KINKS.values(), ids=NO_KINKS)
def test_what_differs_at_kinks_is_not_called_zero(expression: Expr) -> None:
    assert not Algebra().is_zero(expression)


def test_the_order_of_three_values_is_out_of_reach() -> None:
    with pytest.raises(OutOfReachError, match="order of three values"):
        Algebra().is_zero(sympy.Max(x, y, t) - x)


def test_one_entry_stands_for_those_that_no_index_tells_apart() -> None:
    program = rewritten_gradient(network((3, 2, 3)))
    explicit = Explicit(program, small_sizes(program))
    tensors = program.tensors()
    assert list(explicit.representatives(tensors["W1"])) == [(0, 0)]  # (2, 3)
    square = replace(tensors["W1"], shape=(size(3), size(3)))
    assert list(explicit.representatives(square)) == [(0, 0), (0, 1)]
    assert len(list(explicit.places(square))) == 9


def test_numbers_for_sizes_do_not_grow_with_depth() -> None:
    program = rewritten_gradient(network([f"n{layer}" for layer in range(14)]))
    sizes = small_sizes(program)
    assert max(sizes.values()) < 6
    for statement in program.statements:
        tensors = [program.tensors()[name] for name in (statement.name, *statement.reads())]
        met = {extent for tensor in tensors for extent in tensor.shape}
        assert len({sizes[extent] for extent in met}) == len(met), statement.name


@pytest.mark.slow
def test_a_hidden_softmax_at_depth_two_is_proved_at_once() -> None:
    program = rewritten_gradient(network(("n0", "n1", "n2", "n3"), ("softmax",)))
    assert any(claim.status == "not attempted" for claim in whole_proof(program))
    assert all(claim.status == "proved" for claim in whole_proof(program, effort=100))


def test_a_hidden_log_softmax_is_proved_by_what_its_exponential_is() -> None:
    program = rewritten_gradient(network(("n0", "n1", "n2"), ("log_softmax",)))
    assert program.statement("dZ1").body.has(
        sympy.exp(program.tensors()["H1"][program.statement("dZ1").indices])
    )
    assert all(claim.status == "proved" for claim in whole_proof(program))
    assert [claim.status for claim in modular_check(program)] == ["not attempted"]


@pytest.mark.parametrize("loss", ["cross-entropy", "binary-cross-entropy"])
def test_an_output_that_may_be_zero_has_no_pole_in_the_proof(loss: str) -> None:
    program = raw_gradient(network(("n0", "n1"), output="relu", loss=loss))
    assert prove(program).ok
