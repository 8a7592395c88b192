"""The derivative of the gradient along a direction, as formulas."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import sympy
from catalogue import ACTIVATIONS, LOSSES, network, raw_gradient, rewritten_gradient
from oracles import draw_case, shapes_of
from second_order import FORMS, directions, second_order
from sympy import Abs, Add, Expr, Max, Piecewise, sign

import derive
from derive.errors import InputError
from derive.evaluate import evaluate
from derive.gradient import gradient_program
from derive.indices import canonical
from derive.latex_notation import latex_name
from derive.names import lab_names
from derive.network import loss_program
from derive.printing import statement_text
from derive.program import (
    BATCH,
    Program,
    Statement,
    Sum,
    Tensor,
    index,
    occurrences,
    scalar,
    size,
    tensor_of,
)
from derive.report import text_report
from derive.rewrite import rewrite_program
from derive.second_order import hvp_program
from derive.spec import NetworkSpec, parse_spec

LAB = parse_spec("2-10-2")
NETWORKS = [
    network((3, 4, 2)),
    network((2, 3, 4, 3), ("sigmoid", "softmax"), "identity", "mse"),
    network((3, 5, 2), ("relu",), "softmax", "mse"),
    network((2, 3), (), "tanh", "mse"),
]


def lines(program: Program) -> list[str]:
    return [statement_text(statement, form="matrix") for statement in program.second_order]


def evaluated(program: Program, spec: NetworkSpec, seed: int = 0) -> Mapping[str, np.ndarray]:
    along = {f"v{name}": array for name, array in directions(shapes_of(spec), seed).items()}
    return evaluate(program, {**draw_case(spec, 5, 0).values(), **along}, dtype="float64")


# ---------------------------------------------------------------- as a textbook writes it


def test_the_labs_network() -> None:
    assert lines(second_order(LAB)) == [
        "vZ1 = X vW1ᵀ + 1 vb1ᵀ",
        "vH1 = vZ1 ∘ (1 − H1 ∘ H1)",
        "vZ2 = H1 vW2ᵀ + vH1 W2ᵀ + 1 vb2ᵀ",
        "hZ2 = (P ∘ (vZ2 − (P ∘ vZ2) 1 1ᵀ))/B",
        "hW2 = hZ2ᵀ H1 + dZ2ᵀ vH1",
        "hb2 = hZ2ᵀ 1",
        "hH1 = hZ2 W2 + dZ2 vW2",
        "hZ1 = hH1 ∘ (1 − H1 ∘ H1) − 2 (dH1 ∘ H1 ∘ vH1)",
        "hW1 = hZ1ᵀ X",
        "hb1 = hZ1ᵀ 1",
    ]


def test_least_squares_has_a_constant_hessian() -> None:
    assert lines(second_order(parse_spec("3-2", loss="mse"))) == [
        "vP = X vW1ᵀ + 1 vb1ᵀ",
        "hZ1 = vP/B",
        "hW1 = hZ1ᵀ X",
        "hb1 = hZ1ᵀ 1",
    ]


def test_a_sigmoid_and_a_softmax_within() -> None:
    found = {line.split(" = ")[0]: line for line in lines(second_order(NETWORKS[1]))}
    assert found["hZ1"] == "hZ1 = dH1 ∘ vH1 ∘ (1 − 2 H1) + H1 ∘ hH1 ∘ (1 − H1)"
    assert found["hZ2"] == (
        "hZ2 = H2 ∘ (hH2 − (H2 ∘ hH2) 1 1ᵀ − (dH2 ∘ vH2) 1 1ᵀ) + vH2 ∘ (dH2 − (dH2 ∘ H2) 1 1ᵀ)"
    )


def test_a_log_softmax_is_known_inside_of_the_sum() -> None:
    """Not ``(vZ1 ∘ exp(Z1)) 1 ⊘ (exp(Z1) 1)``, which overflows."""
    program = second_order(network((3, 4), (), "log_softmax"))
    assert lines(program)[1] == "vP = vZ1 − (vZ1 ∘ exp(P)) 1 1ᵀ"


def test_under_the_labs_names() -> None:
    program = lab_names(second_order(LAB))
    assert lines(program)[-3:] == [
        "hhtilde = hh ∘ (1 − h ∘ h) − 2 (dh ∘ h ∘ vh)",
        "hWh = hhtildeᵀ X",
        "hbh = hhtildeᵀ 1",
    ]
    tensors = program.tensors()
    for name in ("bh", "vbh", "hbh"):
        assert tensors[name].shape == (10, 1)
    assert program.hessian_products == {"Wh": "hWh", "bh": "hbh", "Wy": "hWy", "by": "hby"}


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("vW1", r"\mathrm{v}W_{1}"),
        ("hZ2", r"\mathrm{h}Z_{2}"),
        ("hb1", r"\mathrm{h}b_{1}"),
        ("vP", r"\mathrm{v}P"),
        ("hWh", r"\mathrm{h}W_{h}"),
        ("hbh2", r"\mathrm{h}b_{h_{2}}"),
        ("hh", r"\mathrm{h}h"),
        ("vhtilde", r"\mathrm{v}\tilde{h}"),
        ("hyhat", r"\mathrm{h}\hat{y}"),
        ("htilde", r"\tilde{h}"),  # the lab's own, and no change of anything
        ("h1", "h_{1}"),
        ("h", "h"),
    ],
)
def test_names_in_latex(name: str, latex: str) -> None:
    assert latex_name(name) == latex


def test_the_report_names_the_directions_and_the_products() -> None:
    report = text_report(second_order(LAB), LAB)
    assert "vW1 (10, 2)" in report
    assert report.index("Backward\n") < report.index("Second order, along v\n")
    assert "(∇²loss v) in W1 = hW1" in report
    assert "hT is how dT changes along v" in report
    assert "along v" not in text_report(rewritten_gradient(LAB), LAB)


# ---------------------------------------------------------------- what kind of programme it is


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spec", NETWORKS, ids=str)
def test_one_product_for_each_parameter(spec: NetworkSpec, form: str) -> None:
    program = second_order(spec, form)
    tensors = program.tensors()
    assert program.hessian_products == {name: f"h{name}" for name in program.parameters}
    for name, product in program.hessian_products.items():
        assert product in program.outputs
        assert tensors[f"v{name}"] in program.inputs
        assert tensors[name].shape == tensors[product].shape == tensors[f"v{name}"].shape
    gradient = (raw_gradient if form == "raw of raw" else rewritten_gradient)(spec)
    if form != "stable":
        assert program.forward == gradient.forward
        assert program.backward == gradient.backward
    assert program.gradients == gradient.gradients


def test_its_length_is_linear_in_the_depth() -> None:
    lengths = []
    for hidden in (2, 4, 8):
        spec = network(("nx", *(f"n{n}" for n in range(hidden)), "ny"))
        lengths.append(len(second_order(spec).second_order))
    assert lengths == [16, 28, 52]  # six statements a layer: vZ vH hZ hW hb hH


def test_what_no_product_needs_is_left_out() -> None:
    names = {s.name for s in second_order(LAB, "raw of raw").second_order}
    assert "vloss" not in names
    read = {name for s in second_order(LAB, "raw").statements for name in s.reads()}
    assert {s.name for s in second_order(LAB, "raw").second_order} <= read | {
        "hW1", "hb1", "hW2", "hb2",
    }  # fmt: skip


def test_a_programme_without_gradients_is_refused() -> None:
    with pytest.raises(InputError, match="no gradients"):
        hvp_program(loss_program(LAB))


def test_it_is_offered_by_the_package() -> None:
    assert derive.hvp_program is hvp_program
    assert "hvp_program" in derive.__all__


@pytest.mark.parametrize("spec", NETWORKS, ids=str)
def test_labels_of_any_kind(spec: NetworkSpec) -> None:
    """Without the identity the Hessian is the same wherever the identity holds."""
    plain = rewrite_program(raw_gradient(spec), labels="any")
    other = rewrite_program(hvp_program(plain), labels="any")
    assert other.assumptions == ()
    case = draw_case(spec, 5, 0)
    Y = np.abs(case.Y) + 0.1
    Y /= Y.sum(axis=1, keepdims=True)
    along = {f"v{name}": array for name, array in directions(shapes_of(spec), 0).items()}
    values = {**case.values(), "Y": Y, **along}
    expected, found = (evaluate(p, values, dtype="float64") for p in (second_order(spec), other))
    for product in other.hessian_products.values():
        np.testing.assert_allclose(found[product], expected[product], rtol=1e-11, atol=1e-14)


# ---------------------------------------------------------------- right by other means


@pytest.mark.parametrize("spec", NETWORKS, ids=str)
def test_the_hessian_is_symmetric(spec: NetworkSpec) -> None:
    """Every column by a unit direction; the product with any direction is that with H."""
    program, shapes = second_order(spec), shapes_of(spec)
    values = draw_case(spec, 5, 0).values()
    total = sum(int(np.prod(shape)) for shape in shapes.values())

    def product(flat: np.ndarray) -> np.ndarray:
        given, first = {}, 0
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            given[f"v{name}"] = flat[first : first + count].reshape(shape)
            first += count
        results = evaluate(program, {**values, **given}, dtype="float64")
        return np.concatenate([results[p].ravel() for p in program.hessian_products.values()])

    hessian = np.array([product(unit) for unit in np.eye(total)]).T
    scale = np.abs(hessian).max()
    assert scale > 1e-3
    assert np.abs(hessian - hessian.T).max() <= 1e-14 * max(scale, 1)
    v = np.random.default_rng(0).standard_normal(total)
    np.testing.assert_allclose(product(v), hessian @ v, rtol=0, atol=1e-13 * scale * total)


def reverse_over_reverse(gradient: Program) -> Program:
    """Return the gradient of ``Σ dW ∘ vW`` in the parameters, by reverse accumulation.

    The statements of the gradient get other names first: they are a forward part now.
    """
    names = {grad: f"g{name}" for name, grad in gradient.cotangents}

    def renamed(expression: Expr) -> Expr:
        reads: dict[Expr, Expr] = {}
        for read in occurrences(expression):
            old = tensor_of(read)
            tensor = replace(gradient.tensors()[old], name=names.get(old, old))
            reads[read] = tensor[tuple(read.indices)] if tensor.shape else scalar(tensor.name)
        return expression.xreplace(reads)

    forward = [
        replace(
            statement,
            target=replace(statement.target, name=names.get(statement.name, statement.name)),
            body=renamed(statement.body),
        )
        for statement in gradient.statements
    ]
    along = []
    terms = []
    tensors = gradient.tensors()
    for name in gradient.parameters:
        shape = tensors[name].shape
        v, g = Tensor(name=f"v{name}", shape=shape), Tensor(name=f"g{name}", shape=shape)
        places = (index("j"), index("k"))[: len(shape)]
        limits = [(place, 0, extent - 1) for place, extent in zip(places, shape, strict=True)]
        terms.append(Sum(v[places] * g[places], *limits))
        along.append(v)
    slope = Statement(
        target=Tensor(name="slope", shape=()), indices=(), body=canonical(Add(*terms), ())
    )
    program = Program(
        inputs=(*gradient.inputs, *along),
        parameters=gradient.parameters,
        statements=(*forward, slope),
        outputs=("slope",),
    )
    return gradient_program(program, of="slope")


@pytest.mark.parametrize("spec", NETWORKS, ids=str)
def test_reverse_over_reverse_gives_the_same(spec: NetworkSpec) -> None:
    """The one rule applied to the scalar product of gradient and direction."""
    other = reverse_over_reverse(rewritten_gradient(spec))
    expected, found = evaluated(other, spec), evaluated(second_order(spec), spec)
    for name, product in second_order(spec).hessian_products.items():
        gradient = expected[other.gradients[name]]
        np.testing.assert_allclose(
            found[product], gradient, rtol=0, atol=1e-13 * np.abs(gradient).max()
        )


# ---------------------------------------------------------------- steps


@pytest.mark.sweep
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_the_steps_lead_to_the_statements(output: str, loss: str) -> None:
    """Replayed in order, each starts from what the one before it made."""
    spec = network((3, 4, 2), ("tanh",), output, loss)
    program = second_order(spec)
    added = {tangent for _, tangent in second_order(spec, "raw").tangents}
    reached: dict[str, Expr] = {}
    for step in program.steps:
        if step.target in added:
            target = program.tensors().get(step.target)
            if step.target not in reached:
                assert tensor_of(step.before) == step.target
                assert target is None or step.before == target[step.indices]
            else:
                assert step.before == reached[step.target]
            reached[step.target] = step.after
    for statement in program.second_order:
        assert reached[statement.name] == statement.body


def scalar_case(body: Callable[[Expr], Expr]) -> Program:
    """Return second order for ``loss = Σ_i body(W1[0] + X[i])``."""
    W, X = Tensor(name="W1", shape=(size(1),)), Tensor(name="X", shape=(BATCH,))
    i = index("i")
    Z = Tensor(name="Z1", shape=(BATCH,))
    statements = (
        Statement(target=Z, indices=(i,), body=X[i] + W[sympy.Integer(0)]),
        Statement(
            target=Tensor(name="loss", shape=()),
            indices=(),
            body=Sum(body(Z[i]), (i, 0, BATCH - 1)),
        ),
    )
    forward = Program(inputs=(X, W), parameters=("W1",), statements=statements, outputs=("loss",))
    return rewrite_program(hvp_program(rewrite_program(gradient_program(forward))))


KINKED: dict[str, tuple[Callable[[Expr], Expr], Callable[[np.ndarray], np.ndarray]]] = {
    "abs": (Abs, np.zeros_like),
    "z abs(z)": (lambda z: z * Abs(z), lambda z: 2 * np.sign(z)),
    "max": (lambda z: Max(z, 0), np.zeros_like),
    "max squared": (
        lambda z: Max(z, 0) ** 2,
        lambda z: 0.5 * (1 + np.sign(z)) ** 2,  # 2 · ½ · ½ at the tie, as torch.maximum
    ),
    "where": (lambda z: Piecewise((z, z > 0), (0, True)), np.zeros_like),
    "where squared": (
        lambda z: Piecewise((z**2, z > 0), (0, True)),
        lambda z: np.where(z > 0, 2.0, 0.0),
    ),
    "sign": (lambda z: sign(z) * z**2, lambda z: 2 * np.sign(z)),
    "huber": (
        lambda z: Piecewise((z**2 / 2, Abs(z) < 1), (Abs(z) - sympy.Rational(1, 2), True)),
        lambda z: np.where(np.abs(z) < 1, 1.0, 0.0),
    ),
}


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_has_second_derivative_zero(name: str) -> None:
    """Also at the corner itself, and the derivation says so."""
    body, second = KINKED[name]
    program = scalar_case(body)
    for x in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0):
        values = {"X": np.array([x - 1]), "W1": np.array([1.0]), "vW1": np.array([3.0])}
        found = evaluate(program, values, dtype="float64")["hW1"]
        np.testing.assert_allclose(found, 3 * second(np.array([x])), err_msg=f"at {x}")
    kinks = [step for step in program.steps if step.rule == "kink"]
    assert kinks
    assert all(re.search("second derivative of a kink, .*is 0", s.reason) for s in kinks)


def test_no_kink_is_told_where_there_is_none() -> None:
    assert not [step for step in second_order(LAB).steps if step.rule == "kink"]
    program = second_order(network((2, 3, 2), ("relu",)))
    assert [step.target for step in program.steps if step.rule == "kink"] == ["hZ1"]


def test_a_parameter_with_no_second_order_says_so() -> None:
    program = scalar_case(lambda z: 3 * z)
    statement = program.statement("hW1")
    assert statement.body == 0
    assert statement.origin == ("dW1 does not change along v",)
