"""The meaning of a kernel programme, against the derived programme and against plain NumPy."""

import kernel_mutants
import numpy as np
import pytest
import scipy.special
from kernel_mutants import Mutant, NoPlace
from kernels import (
    ETA,
    NETWORKS,
    SAMPLES,
    Arrays,
    at,
    contract,
    derived,
    elementwise,
    kernel_program,
    lowered,
    reduce,
    results,
    values_for,
)

from codegen.errors import InternalError
from codegen.interpreter import FUNCTIONS, interpret
from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    KernelProgram,
    Load,
    Negative,
    Select,
    Update,
)
from derive.evaluate import evaluate

# ---------------------------------------------------------------- whole networks


def network_values(text: str, loss: str, seed: int = 1) -> tuple[Arrays, Arrays]:
    """Return inputs as the kernels store them, and as the derivation writes them."""
    _, pullback = derived(text, loss)
    forward = lowered(text, loss)
    stored = values_for(forward["gradients"], seed)
    stored |= {"dP": values_for(forward["vjp"], seed)["dP"]}
    # no unit may be saturated; targets whose rows sum to 1, not one-hot; any sample weights
    draw = np.random.default_rng(seed)
    for name, array in stored.items():
        if name[0] in "XW":
            stored[name] = draw.standard_normal(array.shape) / np.sqrt(array.shape[-1])
    stored["Y"] /= stored["Y"].sum(axis=0)
    names = {tensor.name for tensor in pullback.inputs} | {"Y", "w"}
    rows = {"X", "Y", "dP"}
    return stored, {n: stored[n].T if n in rows else stored[n] for n in names}


def expected_results(text: str, loss: str, seed: int = 1) -> dict[str, Arrays]:
    """Return what each programme should leave, by `derive.evaluate`, stored as kernels do."""
    gradient, pullback = derived(text, loss)
    _, written = network_values(text, loss, seed)
    values = written | evaluate(gradient, written, dtype="float64")
    pulled = written | evaluate(pullback, written, dtype="float64")
    by_column = {"P", "dX"}

    def kept(found: Arrays, names: tuple[str, ...]) -> Arrays:
        return {n: found[n].T if n in by_column else found[n] for n in names}

    parameters, gradients = gradient.parameters, tuple(gradient.gradients.values())
    stepped = {p: values[p] - ETA * values[g] for p, g in gradient.gradients.items()}
    return {
        "forward": kept(values, ("P", *parameters)),
        "loss": kept(values, ("P", "loss", *parameters)),
        "gradients": kept(values, (*gradients, "loss", *parameters)),
        "vjp": kept(pulled, ("dX", *pullback.gradients.values(), *parameters)),
        "step": stepped,
    }


def assert_means(program: KernelProgram, values: Arrays, expected: Arrays) -> None:
    found = results(program, values)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.isfinite(array).all()
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
@pytest.mark.parametrize("which", ["forward", "loss", "gradients", "vjp", "step"])
def test_a_network_means_what_was_derived(network: tuple[str, str], which: str) -> None:
    stored, _ = network_values(*network)
    assert_means(lowered(*network)[which], stored, expected_results(*network)[which])


@pytest.mark.parametrize("mutant", kernel_mutants.EVERY.values(), ids=kernel_mutants.EVERY)
def test_each_mistake_is_seen(mutant: Mutant) -> None:
    seen = 0
    for network in NETWORKS:
        stored, _ = network_values(*network)
        for which, program in lowered(*network).items():
            try:
                wrong = mutant(program)
            except NoPlace:
                continue
            with pytest.raises(AssertionError):
                assert_means(wrong, stored, expected_results(*network)[which])
            seen += 1
    assert bool(seen) == (mutant not in NOT_BEFORE_PASSES)


# these mistakes have a place only in what a pass has made; its tests use them
NOT_BEFORE_PASSES = (
    kernel_mutants.drop_bias,
    kernel_mutants.overwrite,
)

# ---------------------------------------------------------------- node by node

X, Y, W, b = (np.random.default_rng(n).uniform(0.2, 1.2, shape) for n, shape in enumerate(
    [(3, SAMPLES), (2, SAMPLES), (2, 3), (2,)]
))  # fmt: skip
VALUES = {"X": X, "Y": Y, "W": W, "b": b, "s": np.float64(0.7)}
INPUTS = {"X": (3, "B"), "Y": (2, "B"), "b": (2,), "s": ()}


def run(*nodes: object, **work: tuple[object, ...]) -> Arrays:
    program = kernel_program(
        *nodes,  # type: ignore[arg-type]
        inputs=INPUTS,  # type: ignore[arg-type]
        parameters={"W": (2, 3)},
        work=work,  # type: ignore[arg-type]
    )
    return interpret(program, VALUES, {"eta": ETA})


def test_product() -> None:
    found = run(contract("T[j,i]", "W[j,k]", "X[k,i]"), T=(2, "B"))
    np.testing.assert_allclose(found["T"], W @ X, rtol=1e-14)


def test_product_in_every_form() -> None:
    node = contract(
        "W[j,k]", "X[k,i]", "Y[j,i]", alpha=Negative(Argument("eta")), start=at("b[j]"), beta=1
    )
    found = run(node)
    np.testing.assert_allclose(found["W"], W + b[:, None] - ETA * Y @ X.T, atol=1e-14)


def test_product_scaled_by_a_buffer() -> None:
    found = run(contract("T[j,i]", "W[j,k]", "X[k,i]", alpha=at("s")), T=(2, "B"))
    np.testing.assert_allclose(found["T"], 0.7 * (W @ X), rtol=1e-14)


@pytest.mark.parametrize(("op", "by"), [("sum", np.sum), ("max", np.max)])
def test_reduction(op: str, by: object) -> None:
    node = reduce("T[i]", "j", Binary("*", at("Y[j,i]"), at("b[j]")), op)
    np.testing.assert_allclose(run(node, T=("B",))["T"], by(Y * b[:, None], axis=0), rtol=1e-14)  # type: ignore[operator]


def test_reduction_added_to_what_is_there() -> None:
    nodes = (
        elementwise("T[j]", at("b[j]")),
        reduce("T[j]", "i", at("Y[j,i]"), alpha=Const(-2.0), beta=1),
    )
    np.testing.assert_allclose(run(*nodes, T=(2,))["T"], b - 2 * Y.sum(axis=1), rtol=1e-14)


def test_reduction_to_an_axis_that_its_value_lacks() -> None:
    found = run(reduce("T[j,i]", "k", at("X[k,i]")), T=(2, "B"))
    np.testing.assert_allclose(found["T"], np.tile(X.sum(axis=0), (2, 1)), rtol=1e-14)


def test_elementwise_spreads_over_the_axes_it_lacks() -> None:
    found = run(elementwise("T[j,i]", at("b[j]")), T=(2, "B"))
    np.testing.assert_array_equal(found["T"], np.tile(b[:, None], (1, SAMPLES)))


def test_elementwise_stores_in_order() -> None:
    first = elementwise("T[j,i]", Negative(at("Y[j,i]"))).stores
    second = elementwise("U[j,i]", Binary("-", at("T[j,i]"), Argument("B"))).stores
    node = elementwise("T[j,i]", Const(0.0))
    both = type(node)(axes=node.axes, stores=first + second)
    np.testing.assert_allclose(run(both, T=(2, "B"), U=(2, "B"))["U"], -Y - SAMPLES, rtol=1e-14)


def test_update() -> None:
    found = run(elementwise("T[j,k]", at("W[j,k]")), Update(
        parameter="W", gradient="T", rate=Argument("eta")
    ), T=(2, 3))  # fmt: skip
    np.testing.assert_allclose(found["W"], W * (1 - ETA), rtol=1e-14)


def test_the_given_arrays_stay_as_they_are() -> None:
    before = W.copy()
    run(elementwise("T[j,k]", at("W[j,k]")), Update(
        parameter="W", gradient="T", rate=Argument("eta")
    ), T=(2, 3))  # fmt: skip
    np.testing.assert_array_equal(W, before)
    kept = run(elementwise("T[j,k]", at("W[j,k]")), T=(2, 3))
    kept["W"][...] = 0.0
    np.testing.assert_array_equal(W, before)


def test_the_branch_that_is_not_taken_may_be_anything() -> None:
    logarithm = Call("log", (Binary("-", at("b[j]"), Const(9.0)),))
    found = run(
        elementwise("T[j]", Select(">", at("b[j]"), Const(9.0), logarithm, Const(2.0))), T=(2,)
    )
    np.testing.assert_array_equal(found["T"], [2.0, 2.0])


def test_zero_keeps_its_sign() -> None:
    found = run(elementwise("T[j]", Negative(Binary("*", at("b[j]"), Const(0.0)))), T=(2,))
    assert np.signbit(found["T"]).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    arguments = (at("b[j]"), Const(1.5)) if name == "pow" else (at("b[j]"),)
    found = run(elementwise("T[j]", Call(name, arguments)), T=(2,))
    expected = {
        "log1p": scipy.special.log1p,
        "exp": lambda x: 1 / scipy.special.exp2(-x / np.log(2)),
        "erf": scipy.special.erf,
        "pow": lambda x: x * np.sqrt(x),
    }
    function = expected.get(name) or getattr(np, name)
    np.testing.assert_allclose(found["T"], function(b), rtol=1e-14)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(InternalError, match="no meaning"):
        run(elementwise("T[j]", Call("gamma", (at("b[j]"),))), T=(2,))


def test_a_batch_of_one() -> None:
    program = kernel_program(
        reduce("T[j]", "i", at("Y[j,i]")), inputs={"Y": (2, "B")}, work={"T": (2,)}, outputs=("T",)
    )
    found = interpret(program, {"Y": Y[:, :1]})
    np.testing.assert_array_equal(found["T"], Y[:, 0])


def test_a_load_names_its_axes_in_any_order() -> None:
    found = run(elementwise("T[i,k]", Load("X", ("k", "i"))), T=("B", 3))
    np.testing.assert_array_equal(found["T"], X.T)
