"""Kernels of vectors: they compute what the loops compute, no tensor where another is needed."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from types import ModuleType

import numpy as np
import pytest
from kernels import NETWORKS, elementwise, kernel_program
from uncompiled import uncompiled

import codegen
from codegen.emit import lanes
from codegen.emit.block_layout import LANES, holds_units_and_samples
from codegen.generation import generate
from codegen.kernel import BATCH, Argument, Binary, Load, Store, Update
from derive.spec import parse_spec

ACTIVATIONS = [
    *("tanh", "sigmoid", "relu", "identity", "softmax", "softplus"),
    *("elu", "gelu", "silu", "sin", "log_softmax"),
]
SMALL = [(text, loss) for text, loss in NETWORKS if text != "20-40-30-3"]
SMALL += [(f"3-5:{name}-4:{name}-2", "cross-entropy") for name in ACTIVATIONS]
# units in lanes; the last one with a layer between that has samples there
UNITS = [
    ("2-16-2", "cross-entropy"),
    ("3-48-16:relu-3", "cross-entropy"),
    ("5-16:sigmoid-32:sin-16:identity", "mse"),
    ("2-16-16:softmax-16:gelu-2", "cross-entropy"),
]
SMALL += UNITS


def module_of(text: str, loss: str, *, lanes: bool, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a network's module with kernels of one kind, run by Python."""
    generation = importlib.import_module("codegen.generation")
    with monkeypatch.context() as patch:
        if not lanes:
            patch.setattr(generation, "has_vectors", lambda *_: False)
        generated = generate(parse_spec(text, loss=loss), dtype="float64").text
    assert ("def _step_block(" in generated) == lanes
    return uncompiled(generated)


@pytest.mark.sweep
@pytest.mark.parametrize(("text", "loss"), SMALL, ids=[" ".join(pair) for pair in SMALL])
def test_vectors_and_loops_agree(text: str, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = module_of(text, loss, lanes=True, monkeypatch=monkeypatch)
    loops = module_of(text, loss, lanes=False, monkeypatch=monkeypatch)
    draw = np.random.default_rng(4)
    count = LANES + 5  # two blocks, of which one is padded
    X = draw.standard_normal((count, vectors.SIZES[0]))
    Y = np.eye(vectors.SIZES[-1])[draw.integers(0, vectors.SIZES[-1], count)]
    weights = draw.uniform(0.1, 2, count)
    params = {k: draw.uniform(-0.8, 0.8, shape) for k, shape in vectors.PARAMETERS.items()}
    results = []
    for module in (vectors, loops):
        loss_value, gradients = module.loss_and_gradients(params, X, Y, weights)
        dX, pulled = module.vjp(params, X, Y)
        trained = {name: value.copy() for name, value in params.items()}
        history = module.train(trained, X, Y, epochs=2, batch=LANES + 2, eta=0.1, evaluate=True)
        alone = {"loss": loss_value, "P": module.forward(params, X), "dX": dX, "history": history}
        results.append(
            {**alone, **{f"d{k}": v for k, v in gradients.items()}}
            | {f"vjp {k}": v for k, v in pulled.items()}
            | {f"trained {k}": v for k, v in trained.items()}
        )
    for name, expected in results[1].items():
        np.testing.assert_allclose(results[0][name], expected, 1e-12, 1e-14, err_msg=name)


# ---------------------------------------------------------------- memory


def tensors(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield function, place, name and number of rows of every tensor in rows."""
    for function in re.findall(r"^def (_\w+_block)\(.*?(?=^def )", text, re.MULTILINE | re.DOTALL):
        start = text.index(f"def {function}(")
        body = text[start : text.index("\n    for ", start)]
        for name, place, shape in re.findall(
            r"^    (\w+) = rows\(memory, (.+), \d+\)  # \((.*?LANES.*?)\)", body, re.MULTILINE
        ):
            yield function, name, place, prod(map(int, re.findall(r"\d+", shape)))


def used(text: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the first and the last statement of each function that uses a name in a loop."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for place, statement in enumerate(function.body):
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                continue  # where it lies
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    key = function.name, node.id.removesuffix("_numbers")
                    first, _ = found.get(key, (place, place))
                    found[key] = first, place
    return found


def tensors_that_share_rows(generated: str) -> int:
    """Return how many rows are used twice, after a check that no loop uses both tensors."""
    places = {
        name: int(number)
        for names, numbers in re.findall(r"^([A-Z_, ]+) = (np\.int64.*)$", generated, re.MULTILINE)
        for name, number in zip(names.split(", "), re.findall(r"\((\d+)\)", numbers), strict=True)
    }
    loops = used(generated)
    taken: dict[str, dict[int, list[str]]] = {}
    shared = 0
    for function, name, place, size in tensors(generated):
        first = sum(
            int(part) if part.isdigit() else (places | {"block": places["INPUTS"]})[part]
            for part in place.split(" + ")
        )
        begin, end = loops[function, name]
        for row in range(first, first + size):
            for other in taken.setdefault(function, {}).setdefault(row, []):
                assert "WORK" in place, f"{name} and {other}"
                other_begin, other_end = loops[function, other]
                assert end < other_begin or other_end < begin, f"{name} and {other}"
                shared += 1
            taken[function][row].append(name)
            assert row < places["INPUTS"] + places["BLOCK"]
    assert len(taken) == 5
    return shared


@pytest.mark.sweep
@pytest.mark.parametrize(("text", "loss"), SMALL[:12], ids=[" ".join(pair) for pair in SMALL[:12]])
def test_tensors_in_the_same_row_are_not_used_by_the_same_loops(text: str, loss: str) -> None:
    shared = tensors_that_share_rows(generate(parse_spec(text, loss=loss), dtype="float64").text)
    assert shared or loss == "mse"


@pytest.mark.parametrize(("text", "loss"), UNITS[2:], ids=[" ".join(pair) for pair in UNITS[2:]])
def test_where_hidden_layers_fill_vectors_units_are_in_lanes(text: str, loss: str) -> None:
    generated = generate(parse_spec(text, loss=loss)).text
    assert re.search(r"^    H1 = rows\(.*# \(LANES, \d+\)", generated, re.MULTILINE)
    assert "ZEROS" in generated
    assert "SUMS" not in generated
    assert tensors_that_share_rows(generated)


def test_a_parameter_is_read_before_its_gradient_may_be_added_to_it() -> None:
    generated = generate("4-32-16-4").text
    text = generated[generated.index("def _step_block(") :].split("\n\n")[0]
    step = [line for line in text.splitlines() if not re.search(r" = (rows|numbers)\(|#", line)]
    for weights in ("W2", "W3"):  # another gradient is computed from these
        reads = [place for place, line in enumerate(step) if re.search(rf"\b{weights}[_\[]", line)]
        adds = next(place for place, line in enumerate(step) if f"(d{weights}, " in line)
        assert len(reads) >= 2
        assert adds > max(reads)


@pytest.mark.long
def test_units_in_lanes_compiled_are_what_python_computes() -> None:
    generated = generate(parse_spec("3-32:relu-4"), dtype="float64", optimizer="momentum")
    draw = np.random.default_rng(6)
    X, Y = draw.standard_normal((45, 3)), np.eye(4)[draw.integers(0, 4, 45)]
    weights = draw.uniform(0.1, 2, 45)
    trained, states = [], []
    for module in (codegen.compile_module(generated), uncompiled(generated.text)):
        params, state = module.init_params(1), {}
        for start in (0, 1):  # the state goes to the kernel and back
            module.train(
                params, X, Y, epochs=1, batch=19, eta=0.1, momentum=0.9, weights=weights,
                start=start, state=state,
            )  # fmt: skip
        trained.append(params)
        states.append(state)
    for compiled, plain in (trained, states):
        for name, value in compiled.items():
            np.testing.assert_allclose(value, plain[name], 1e-12, 1e-14, err_msg=name)
            assert np.abs(value).max() > 0, name


@pytest.mark.parametrize("text", ["2-16-10-2", "4-16:softmax-2"])
def test_where_they_do_not_samples_are(text: str) -> None:
    assert "ZEROS" not in generate(text).text


def test_that_check_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "first_fit", lambda needed, sizes: dict.fromkeys(needed, "H1"))
    assert "H1" in generate("2-10-2").text
    with pytest.raises(AssertionError, match="Z2 and H1"):
        tensors_that_share_rows(generate("2-10-2").text)


# ---------------------------------------------------------------- which networks


@pytest.mark.parametrize(
    ("text", "is_small"),
    [
        ("2-10-2", True),
        ("4-32-16-4", True),
        ("1023-2", True),  # 2,048 parameters, as many as there may be
        ("682-3", False),  # 2,049
        ("40-47-2", True),
        ("40-48-2", True),  # more parameters, units in lanes
        ("40-49-2", False),
        ("128-32:relu-16-10", True),
        ("128-32:softmax-16-10", False),
        ("257-16-10", False),
        ("4-272-2", True),
        ("5-272-16-2", False),  # too many units together
        ("120-16:relu-16", False),  # loops of the last two layers are one
        ("64-128-10", False),
        ("784-100-10", False),
    ],
)
def test_small_networks_are_computed_with_vectors(text: str, is_small: bool) -> None:
    assert ("def _step_block(" in generate(text).text) == is_small


def test_what_is_not_of_units_and_samples_is_left_to_loops() -> None:
    update = Update(parameter="W", gradient="dW", rate=Argument("eta"))
    program = kernel_program(
        update, inputs={"X": (3, BATCH)}, parameters={"W": (3,)}, work={"dW": (3,)}
    )
    assert holds_units_and_samples({"step": program})
    rate = Binary("*", Argument("eta"), Argument("eta"))
    assert not holds_units_and_samples(
        {"step": replace(program, nodes=(replace(update, rate=rate),))}
    )
    of_units = elementwise("dW[j]", Load("W", ("j",)))
    assert not holds_units_and_samples({"step": replace(program, nodes=(of_units, update))})
    assert isinstance(of_units.stores[0], Store)
