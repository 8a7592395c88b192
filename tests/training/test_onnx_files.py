"""ONNX: what is written is run by onnxruntime, and what is read comes back bit by bit."""

import copy
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_here
from drawn import drawn, inputs
from emitted import in_numpy, same_bytes
from needed import need

import runtime
from runtime.data.scaling import Scaling
from runtime.errors import InputError
from runtime.onnx_package import LARGEST
from runtime.onnx_writing import onnx_bytes
from runtime.portable import PortableNetwork

ALL = (
    "3-5:tanh-4:sigmoid-5:relu-4:softplus-5:elu-4:gelu-5:silu-4:identity-5:sin-4:softmax"
    "-3:log_softmax"
)
IN_FLOAT64 = "3-5:tanh-4:sigmoid-5:relu-4:identity-5:sin-4:softmax-3:log_softmax"
SCALING = Scaling(kind="minmax", shift=np.array([0.1, -2.0, 5e-9]), unit=np.array([3.0, 0.7, 1e-3]))


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    need("onnx", "onnxruntime")


def outputs(content: bytes, X: np.ndarray) -> Any:
    """Return what onnxruntime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})[0]


def read_back(content: bytes, folder: Path, **options: Any) -> PortableNetwork:
    (folder / "net.onnx").write_bytes(content)
    return runtime.import_onnx(folder / "net.onnx", **options)


def assert_same(one: PortableNetwork, other: PortableNetwork) -> None:
    assert one.network == other.network
    assert one.classes == other.classes
    assert same_bytes(one.params, other.params)
    assert (one.scaling is None) == (other.scaling is None)
    if one.scaling is not None and other.scaling is not None:
        assert one.scaling.to_json() == other.scaling.to_json()


@pytest.mark.parametrize(
    ("text", "dtype", "tolerance"),
    [(ALL, "float32", 1e-6), (IN_FLOAT64, "float64", 1e-14)],
    ids=["float32", "float64"],
)
def test_others_run_what_is_exported(
    text: str, dtype: str, tolerance: float, tmp_path: Path
) -> None:
    import onnx

    given = drawn(text, dtype, classes=("a", "b", "c"))
    content = onnx_bytes(given)
    assert content == onnx_bytes(given)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    X = inputs(given)
    expected = in_numpy(text, dtype=dtype).forward(given.params, X)
    np.testing.assert_allclose(outputs(content, X), expected, rtol=tolerance, atol=tolerance)
    assert_same(read_back(content, tmp_path), given)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaled_inputs_are_scaled_bit_by_bit(dtype: str, tmp_path: Path) -> None:
    plain = drawn("3-4-2", dtype)
    scaled = PortableNetwork(network=plain.network, params=plain.params, scaling=SCALING)
    X = inputs(plain)
    ready = X.copy()
    SCALING.apply(ready)
    assert np.array_equal(outputs(onnx_bytes(scaled), X), outputs(onnx_bytes(plain), ready))
    assert_same(read_back(onnx_bytes(scaled), tmp_path), scaled)


def test_loss_and_own_formula_come_back(tmp_path: Path) -> None:
    given = drawn("3-4-2", loss="-sum(Y*(1-P)**2*log(P))")
    assert_same(read_back(onnx_bytes(given), tmp_path), given)
    other = read_back(onnx_bytes(given), tmp_path, loss="mse")
    assert (other.network.text, other.network.loss) == (given.network.text, "mse")


def test_a_trained_network_from_python(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(5, 3, (60, 2)).astype(np.float32)
    y = (X[:, 0] > X[:, 1]).astype(int)
    result = runtime.train((X, y), "2-10-2", epochs=3, scale="standard")
    runtime.export_onnx(result, tmp_path / "net.onnx")
    found = outputs((tmp_path / "net.onnx").read_bytes(), X)
    np.testing.assert_allclose(found, result.predict(X), rtol=1e-6, atol=1e-6)
    again = runtime.import_onnx(tmp_path / "net.onnx")
    assert same_bytes(again.params, result.model.params)
    assert again.classes == result.data.classes
    np.testing.assert_array_equal(again.predict(X), result.predict(X))


@pytest.mark.parametrize("classes", [("a", "b", "c"), (3, 7), ()], ids=["3", "2", "real"])
def test_estimators_are_exported(classes: tuple[Any, ...], tmp_path: Path) -> None:
    need("sklearn")
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    draw = np.random.default_rng(0)
    X = draw.normal(size=(30, 3))
    y = draw.permutation(np.resize(np.array(classes or X[:, 0]), 30))
    settings = {"hidden_layer_sizes": (5, 4), "activation": "logistic", "max_iter": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that three epochs are few
        fitted = (MLPClassifier if classes else MLPRegressor)(**settings).fit(X, y)
    runtime.export_onnx(fitted, tmp_path / "net.onnx")
    found = outputs((tmp_path / "net.onnx").read_bytes(), X)
    expected = fitted.predict_proba(X) if classes else fitted.predict(X)[:, None]
    if len(classes) == 2:
        expected = expected[:, 1:]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    again = runtime.import_onnx(tmp_path / "net.onnx")
    assert again.classes == classes
    for number, weights in enumerate(fitted.coefs_, start=1):
        assert np.array_equal(again.params[f"W{number}"], weights.T)
    module = runtime.as_torch_module(fitted)
    assert module.network.sizes == again.network.sizes


def test_the_command_line_there_and_back(tmp_path: Path) -> None:
    given = drawn("2-10-2", classes=("no", "yes"))
    folder, file = given.save(tmp_path / "run"), tmp_path / "net.onnx"
    for source in (folder, folder / "model.safetensors"):
        done = run_here("export", str(source), "-o", str(file))
        assert (done.status, done.out) == (0, ""), done
        assert file.read_bytes() == onnx_bytes(given)
    back = tmp_path / "back"
    done = run_here("import", str(file), "--out", str(back))
    assert (done.status, done.out) == (0, f"2-10-2 cross-entropy in {back}\n"), done
    weights = [(place / "model.safetensors").read_bytes() for place in (folder, back)]
    assert weights[0] == weights[1]
    (tmp_path / "data.csv").write_text("a,b\n1,2\n-1,0.5\n")
    told = [run_here("predict", str(f), str(tmp_path / "data.csv")) for f in (folder, back)]
    assert told[0].out == told[1].out != ""
    assert told[0].out.startswith("class,p(no),p(yes)\n")

    record = (back / "run.json").read_bytes()
    run_here("import", str(file), "--out", str(back)).assert_refused(2, "holds a run already")
    for wrong in (
        ["--from", str(back / "run.json")],
        ["circles", "--out", str(back), "--resume"],
    ):
        run_here("train", *wrong).assert_refused(2, "imported from net.onnx, not trained here")
    assert (back / "run.json").read_bytes() == record
    (back / "checkpoint.safetensors").write_bytes(b"of the run that was there")
    assert run_here("import", str(file), "--out", str(back), "--overwrite").status == 0
    assert sorted(path.name for path in back.iterdir()) == ["model.safetensors", "run.json"]


def test_networks_from_pytorch(tmp_path: Path) -> None:
    import torch

    nn = torch.nn
    linears = nn.Linear(3, 4), nn.Linear(4, 5, bias=False), nn.Linear(5, 2)
    tail = nn.GELU(), linears[1], nn.SiLU(), linears[2], nn.LogSoftmax(1)
    network = nn.Sequential(nn.Flatten(), linears[0], *tail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of this exporter, which needs no further package
        torch.onnx.export(
            network,
            (torch.zeros(1, 3),),
            str(tmp_path / "net.onnx"),
            dynamo=False,
            opset_version=20,
        )
    found = runtime.import_onnx(tmp_path / "net.onnx")
    assert found.network.text == "3-4:gelu-5:silu-2:log_softmax"
    assert (found.network.loss, found.classes) == ("cross-entropy", (0, 1))
    for number, linear in enumerate(linears, start=1):
        assert np.array_equal(found.params[f"W{number}"], linear.weight.detach())
    assert np.array_equal(found.params["b1"], linears[0].bias.detach())
    assert not found.params["b2"].any()
    assert runtime.as_torch_module(found).portable().network == found.network


# ------------------------------------------------------------------ other people's graphs


def graph(nodes: list[tuple[Any, ...]], tensors: dict[str, Any], output: str = "out") -> Any:
    """Return a model; a node is operator, inputs, output and perhaps attributes."""
    from onnx import TensorProto, helper, numpy_helper

    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node(op, ins, [out], **(at[0] if at else {}))
                for op, ins, out, *at in nodes
            ],
            "g",
            [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["B", 2])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["B", 3])],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


W = np.arange(6, dtype=np.float32).reshape(2, 3) / 7  # (in, out)
B = np.array([1, -2, 3], np.float32)
LAYER = [("MatMul", ["in", "W"], "t"), ("Add", ["t", "b"], "out")]
TENSORS = {"W": W, "b": B}


def test_products_and_sums_in_other_forms(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    flat = graph(LAYER, TENSORS)
    for tensor in flat.graph.initializer:  # numbers as numbers, not as bytes
        values = np.frombuffer(tensor.raw_data, np.float32)
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.tolist())
    within = graph(LAYER, {})
    for name, array in TENSORS.items():
        value = helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel())
        within.graph.node.insert(0, helper.make_node("Constant", [], [name], value=value))
    forms = [
        graph(LAYER, TENSORS),
        graph([LAYER[0], ("Add", ["b", "t"], "out")], {"W": W, "b": B[None]}),
        graph([("Gemm", ["in", "W", "b"], "out")], TENSORS),
        graph([("Gemm", ["in", "W", "b"], "out", {"transB": 1})], {"W": W.T.copy(), "b": B}),
        graph([("Cast", ["in"], "x", {"to": 1}), ("Gemm", ["x", "W", "b"], "out")], TENSORS),
        flat,
        within,
    ]
    X = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    for model in forms:
        found = read_back(model.SerializeToString(), tmp_path)
        assert found.network.text == "2-3:identity"
        assert (found.network.loss, found.classes) == ("mse", ())
        assert np.array_equal(found.params["W1"], W.T)
        assert np.array_equal(found.params["b1"], B)
        np.testing.assert_allclose(outputs(model.SerializeToString(), X), X @ W + B, rtol=1e-6)


def entry(**changes: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        good = {"spec": "2-3:identity", "loss": "mse", "define": [], "l2": 0.0, "classes": []}
        text = json.dumps({**good, "scale": None, **changes})
        model.metadata_props.add(key="gradwright", value=text)

    return change


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/passwd")


def assign(path: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        *way, last = path.split(".")
        target = model
        for step in way:
            target = target[int(step)] if step.isdigit() else getattr(target, step)
        setattr(target, last, value)

    return change


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another file": (external, "its numbers are in another file"),
    "integers": (assign("graph.initializer.0.data_type", 7), "not of float32 or float64"),
    "shape too large": (
        lambda m: m.graph.initializer[0].dims.__setitem__(0, 1 << 50),
        "damaged: 24 bytes for shape",
    ),
    "negative": (lambda m: m.graph.initializer[0].dims.__setitem__(0, -2), "Expected a vector"),
    "three axes": (lambda m: m.graph.initializer[0].dims.append(1), "Expected a vector or a"),
    "bias of 2": (lambda m: m.graph.initializer[1].CopyFrom(two_numbers()), "its bias has shape"),
    "unknown operator": (assign("graph.node.1.op_type", "Conv"), "Conv: not known here. Known: "),
    "other domain": (assign("graph.node.1.domain", "com.x"), "of com.x, not of ONNX"),
    "attribute": (
        lambda m: m.graph.node[0].attribute.add(name="body", type=2, i=1),
        "its body is not what",
    ),
    "ends nowhere": (assign("graph.output.0.name", "other"), "out: 0 nodes read it"),
    "ends early": (assign("graph.output.0.name", "t"), "reads the output"),
    "one name twice": (
        lambda m: m.graph.node[1].output.__setitem__(0, "in"),
        "two values have one name",
    ),
    "two inputs": (lambda m: m.graph.input.add(name="more"), "2 inputs and 1 outputs"),
    "two outputs": (lambda m: m.graph.output.add(name="t"), "1 inputs and 2 outputs"),
    "an input with axes": (
        lambda m: m.graph.input[0].type.tensor_type.shape.dim.add(dim_value=4),
        "the input has 3 axes",
    ),
    "a node apart": (
        lambda m: m.graph.node.add(op_type="Relu", input=["b"], output=["z"]),
        "some nodes are not between",
    ),
    "a branch": (
        lambda m: m.graph.node.add(op_type="Relu", input=["t"], output=["z"]),
        "t: 2 nodes read it",
    ),
    "functions": (lambda m: m.functions.add(name="f"), "defines functions"),
    "infinite": (
        assign("graph.initializer.1.raw_data", np.full(3, np.inf, "f4").tobytes()),
        "b1 is not finite",
    ),
    "a constant of nothing": (
        lambda m: m.graph.node.add(op_type="Constant"),
        "Constant: no tensor",
    ),
    "told of another network": (entry(spec="2-4:identity"), 'metadata entry "gradwright" is not'),
    "told of too many classes": (entry(classes=[1, 2]), "metadata entry"),
    "told of a list": (lambda m: m.metadata_props.add(key="gradwright", value="[]"), "metadata"),
    "told no JSON": (
        lambda m: m.metadata_props.add(key="gradwright", value="[" * 9999),
        "metadata",
    ),
    "told code": (entry(loss="__import__('os')"), "--loss"),
}


def two_numbers() -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ones(2, np.float32), "b")


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_changed_models_are_refused(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    model = graph(LAYER, TENSORS)
    change(model)
    with pytest.raises(InputError) as caught:
        read_back(model.SerializeToString(), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'net.onnx'}: ")
    assert message in str(caught.value)


SQUARE = {"W": np.eye(3, dtype=np.float32), "V": W, "b": B, "s": np.ones(2, np.float32)}
GRAPHS: dict[str, tuple[list[tuple[Any, ...]], str]] = {
    "no layer": ([("Relu", ["in"], "out")], "stands before the first layer"),
    "nothing": ([("Identity", ["in"], "out")], "no layer with weights"),
    "shared": (
        [
            ("MatMul", ["in", "V"], "a"),
            ("MatMul", ["a", "W"], "c"),
            ("MatMul", ["c", "W"], "out"),
        ],
        "W: two layers share it",
    ),
    "sizes": ([("MatMul", ["in", "V"], "a"), ("Gemm", ["a", "V"], "out")], "two layers share"),
    "twice": (
        [("MatMul", ["in", "V"], "a"), ("MatMul", ["a", "a"], "out")],
        "a value and a tensor",
    ),
    "weight first": ([("MatMul", ["V", "in"], "out")], "a value and a tensor"),
    "sum alone": ([("Add", ["in", "s"], "out")], "no MatMul stands right before"),
    "half a scaling": (
        [("Sub", ["in", "s"], "a"), ("MatMul", ["a", "V"], "out")],
        "before the first layer stand Sub",
    ),
    "scaled later": (
        [("MatMul", ["in", "V"], "a"), ("Div", ["a", "b"], "out")],
        "no scaling of the inputs",
    ),
    "alpha": ([("Gemm", ["in", "V", "b"], "out", {"alpha": 0.5})], "its alpha is not what"),
    "elu": ([("MatMul", ["in", "V"], "a"), ("Elu", ["a"], "out", {"alpha": 2.0})], "its alpha"),
    "softmax of columns": (
        [("MatMul", ["in", "V"], "a"), ("Softmax", ["a"], "out", {"axis": 0})],
        "its axis is not what",
    ),
    "nearly silu": (
        [
            ("MatMul", ["in", "V"], "a"),
            ("Sigmoid", ["a"], "c"),
            ("Mul", ["c", "c"], "d"),
            ("Add", ["d", "a"], "out"),
        ],
        "a: 2 nodes read it",
    ),
}


@pytest.mark.parametrize(("nodes", "message"), GRAPHS.values(), ids=GRAPHS)
def test_other_graphs_are_refused(
    nodes: list[tuple[Any, ...]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_back(graph(nodes, SQUARE).SerializeToString(), tmp_path)


def test_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    content = onnx_bytes(drawn("3-4:silu-2", scaling=SCALING))
    draw = np.random.default_rng(0)
    refused = []
    for number in range(150):
        damaged = bytearray(content)
        if number < 25:
            del damaged[int(draw.integers(len(content))) :]
        else:
            for place in draw.integers(0, len(content), 1 + number % 3):
                damaged[place] = draw.integers(256)
        try:
            read_back(bytes(damaged), tmp_path)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 75
    assert not [text for text in refused if "\n" in text and "^" not in text]  # one line each


def test_what_would_fill_the_memory_is_refused_unparsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    def parse(content: bytes) -> None:
        raise AssertionError("parsed")

    file = tmp_path / "net.onnx"
    with file.open("wb") as large:
        large.truncate(LARGEST + 1)  # takes no room on the disk
    with pytest.raises(InputError, match="files of up to 512 MB are read"):
        runtime.import_onnx(file)
    model = copy.deepcopy(graph(LAYER, TENSORS))
    model.graph.node.extend([onnx.NodeProto()] * (3 << 18))  # two bytes each, a hundred as objects
    monkeypatch.setattr("runtime.protobuf_size.MOST_STRUCTURE", 1 << 20)
    monkeypatch.setattr(onnx.ModelProto, "FromString", parse, raising=False)
    with pytest.raises(InputError, match="1 MB of it are not weights"):
        read_back(model.SerializeToString(), tmp_path)


def test_what_onnx_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'layers\[1\].*"elu".*float32 only'):
        onnx_bytes(drawn("2-3:elu-2", "float64"))
    from derive.spec import parse_spec

    own = parse_spec("2-3:mine-2", define=["mine(z) = z*sin(z)"])
    given = PortableNetwork(network=own, params=drawn("2-3-2").params)
    with pytest.raises(InputError, match=r'layers\[1\].*"mine".*a function of your own'):
        runtime.export_onnx(given, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_one_line_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = tmp_path / "net.onnx", drawn("2-3-2").save(tmp_path / "run")
    file.write_bytes(b"no protobuf")
    run_here("import", str(file)).assert_refused(2, "damaged or cut short, or no ONNX file")
    file.write_bytes(b"")
    run_here("import", str(file)).assert_refused(2, f"{file}: 0 inputs and 0 outputs")
    run_here("import", str(tmp_path / "none")).assert_refused(2, "no such file")
    run_here("import", str(tmp_path)).assert_refused(2, "it is a folder")
    run_here("import", "/dev/null").assert_refused(2, "not an ordinary file")
    run_here("export", str(tmp_path / "none"), "-o", "x").assert_refused(2, "does not exist")
    monkeypatch.setitem(sys.modules, "onnx", None)
    for words in (["export", str(folder), "-o", str(file)], ["import", str(file)]):
        done = run_here(*words)
        done.assert_refused(2, "pip install 'gradwright[onnx]'")
        assert done.err.count("\n") == 1
