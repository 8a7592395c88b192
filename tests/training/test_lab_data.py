"""The lab's data: what its notebook reads, what it plots, and its own loops run on them."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from data_folder import write_small_mnist
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

import codegen
import runtime
from runtime import CirclesData, MNISTData, lab_data
from runtime.data.circles import circles
from runtime.errors import InputError

KINDS = {"torch": torch.Tensor, "numpy": np.ndarray}


@pytest.fixture(autouse=True)
def figures_in_memory() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_mnist(tmp_path_factory.mktemp("mnist"))


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(mpl.text.Text)}


# ------------------------------------------------------------------ what the notebook reads


@pytest.mark.parametrize("backend", KINDS)
def test_circles_are_what_the_labs_notebook_reads(backend: str) -> None:
    data, rings = CirclesData(backend), circles()
    for name, expected in (
        ("Xtrain", rings.X_train),
        ("Ytrain", rings.Y_train),
        ("Xtest", rings.X_test),
        ("Ytest", rings.Y_test),
        ("Xgrid", rings.grid),
    ):
        value = getattr(data, name)
        assert isinstance(value, KINDS[backend])
        assert str(value.dtype).endswith("float32")
        np.testing.assert_array_equal(np.asarray(value), np.asarray(expected, np.float32))
    assert data.Xgrid.shape == (1600, 2)
    assert "200 + 200 samples" in repr(data)


def test_seed_and_dtype_are_the_users() -> None:
    data = CirclesData("numpy", data_seed=3, dtype="float64")
    np.testing.assert_array_equal(data.Xtest, circles(3).X_test)
    assert CirclesData("torch", dtype="float64").Xgrid.dtype == torch.float64


def test_tensors_are_the_default_where_pytorch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(CirclesData().Xtrain, torch.Tensor)
    monkeypatch.setattr(lab_data, "find_spec", lambda name: None)
    assert isinstance(CirclesData().Xtrain, np.ndarray)
    with pytest.raises(InputError, match=r"PyTorch is not installed\. .*pip install"):
        CirclesData("torch")
    with pytest.raises(InputError, match=r'"jax" is not known\. Known: torch, numpy'):
        CirclesData("jax")


def test_arrays_load_neither_pytorch_nor_matplotlib() -> None:
    program = (
        "import sys, runtime\n"
        "heavy = ('numpy', 'torch', 'matplotlib', 'sympy', 'numba', 'IPython')\n"
        "before = [n for n in heavy if n in sys.modules]\n"
        "runtime.CirclesData('numpy')\n"
        "print(before, [n for n in heavy if n in sys.modules])"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[] ['numpy']\n"
    assert {"CirclesData", "MNISTData"} <= set(dir(runtime))


@pytest.mark.parametrize("backend", KINDS)
def test_mnist_is_what_the_labs_notebook_reads(backend: str, small_mnist: Path) -> None:
    data = MNISTData(backend, data_dir=small_mnist, offline=True)
    shapes = [data.Xtrain.shape, data.Ytrain.shape, data.Xtest.shape, data.Ytest.shape]
    assert shapes == [(120, 784), (120, 10), (40, 784), (40, 10)]
    assert isinstance(data.Xtrain, KINDS[backend])
    assert data.Xgrid.shape == (40, 784)
    np.testing.assert_array_equal(np.asarray(data.Xgrid[3]), np.asarray(data.Xtest[3]))
    with pytest.raises(InputError, match="does not exist"):
        MNISTData(backend, data_dir=small_mnist / "nowhere")


# ------------------------------------------------------------------ what it plots


def shown(data: CirclesData | MNISTData, Ygrid: Any, title: str = "") -> Figure:
    data.plot_data_with_grid(Ygrid, title)
    return plt.gcf()


def probabilities(data: CirclesData, sharpness: float = 3.0) -> Any:
    outer = 1 / (1 + np.exp(-sharpness * (np.hypot(*np.asarray(data.Xgrid).T) - 0.686)))
    return np.stack([outer, 1 - outer], axis=1)


def test_data_are_plotted_a_marker_for_each_point() -> None:
    CirclesData().plot_data()
    axes = plt.gcf().axes[0]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 400
    assert texts(plt.gcf()) >= {"Circles", "outer", "inner", "training", "test"}
    assert "decision boundary" not in texts(plt.gcf())


@pytest.mark.parametrize("kind", ["array", "tensor", "tensor of autograd"])
def test_the_grid_is_plotted_where_its_points_are(kind: str) -> None:
    data = CirclesData()
    P = probabilities(data)
    given = P if kind == "array" else torch.tensor(P, requires_grad=kind.endswith("autograd"))
    figure = shown(data, given, "Iter 149: Acc train 100.0% (0.23), acc test 98.0% (0.21)")
    (image,) = figure.axes[0].findobj(AxesImage)
    values = image.get_array()
    np.testing.assert_allclose(values, P[:, 1].reshape(40, 40))
    left, right, bottom, top = image.get_extent()
    assert np.allclose([left, right, bottom, top], [-2.05, 1.95, -2.05, 1.95])
    assert image.origin == "lower"
    assert texts(figure) >= {
        "Iter 149: Acc train 100.0% (0.23), acc test 98.0% (0.21)",  # whole
        "probability of inner",
        "decision boundary",
    }
    (boundary,) = (c for c in figure.axes[0].collections if hasattr(c, "levels"))
    radii = np.hypot(*np.concatenate([p.vertices for p in boundary.get_paths()]).T)
    assert abs(radii - 0.686).max() < 0.02


def test_a_loop_draws_on_one_figure_and_not_in_the_users_style() -> None:
    data = CirclesData()
    mpl.rcParams["font.size"] = 33
    try:
        for sharpness in range(21):  # of more than 20 open figures pyplot warns
            figure = shown(data, probabilities(data, sharpness))
        assert len(plt.get_fignums()) == 1
        assert mpl.rcParams["font.size"] == 33
        assert figure.axes[0].get_xticklabels()[0].get_fontsize() < 20
    finally:
        mpl.rcdefaults()
        mpl.use("Agg")


def test_a_window_draws_itself_before_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "tk")
    monkeypatch.setattr(plt, "show", lambda block: seen.append(f"show, block={block}"))
    monkeypatch.setattr(plt, "pause", lambda seconds: seen.append("pause"))
    CirclesData().plot_data()
    assert seen == ["show, block=False", "pause"]


def test_what_is_no_probability_is_shown_as_a_lead_and_nan_as_a_gap() -> None:
    data = CirclesData()
    P = probabilities(data)
    assert "output of inner − output of outer" in texts(shown(data, 5 * P - 1))
    P[7] = np.nan
    assert texts(shown(data, P)) >= {"not a number", "probability of inner"}


def test_a_grid_of_another_shape_is_refused() -> None:
    data = CirclesData()
    with pytest.raises(InputError, match=r"Ygrid has shape \(200, 2\), expected \(1600, 2\)"):
        data.plot_data_with_grid(np.zeros((200, 2)))


def test_losses_are_plotted_one_by_one_or_as_curves() -> None:
    data = CirclesData()
    for epoch in range(3):
        L = torch.tensor(1.0 - 0.25 * epoch, requires_grad=True)
        data.plot_loss(L, L, torch.tensor(50.0 + epoch), 40 + epoch)
    loss = next(a for a in plt.gcf().axes if a.get_title() == "Loss").get_lines()
    accuracy = next(a for a in plt.gcf().axes if a.get_title() == "Accuracy").get_lines()
    np.testing.assert_allclose(loss[0].get_ydata(), [1, 0.75, 0.5])
    np.testing.assert_allclose(accuracy[0].get_ydata(), [50, 51, 52])
    np.testing.assert_allclose(accuracy[1].get_ydata(), [40, 41, 42])
    CirclesData().plot_loss([L, L], [1, 2], np.array([10, 20]), torch.tensor([30.0, 40.0]))
    accuracy = next(a for a in plt.gcf().axes if a.get_title() == "Accuracy").get_lines()
    np.testing.assert_allclose(accuracy[1].get_ydata(), [30, 40])
    with pytest.raises(InputError, match="1, 2, 2, 2 epochs"):
        data.plot_loss([1], [1, 2], [1, 2], [1, 2])
    with pytest.raises(InputError, match="four numbers, or four sequences"):
        data.plot_loss(1, [1, 2], [1, 2], [1, 2])


def test_images_are_plotted_with_the_networks_answers(small_mnist: Path) -> None:
    data = MNISTData("numpy", data_dir=small_mnist, offline=True)
    data.plot_data()
    assert texts(plt.gcf()) >= {"MNIST", *"0123456789"}
    answers = np.asarray(data.Ytest[:40]) * 0.93 + 0.007
    answers[2] = answers[5]  # a wrong one
    figure = shown(data, answers, "after an epoch")
    assert texts(figure) >= {"after an epoch", "5  94%", "9  94%"}
    assert "what the network takes them for; 1 of 40 wrong, framed" in texts(figure)
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [frame.get_xy()[0] for frame in frames] == [3 + 2 * 34 - 1.5]  # the third image
    data.plot_loss(1, 1, 50, 50)
    assert "MNIST" in texts(plt.gcf())
    with pytest.raises(InputError, match=r"expected \(40, 10\)"):
        data.plot_data_with_grid(answers[:10])


def test_in_a_notebook_a_picture_replaces_that_of_the_same_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell = SimpleNamespace(kernel=object(), execution_count=1)
    seen: list[str] = []

    def display(png: dict[str, str], *, raw: bool, display_id: bool) -> SimpleNamespace:
        assert raw
        assert display_id
        assert png["image/png"].startswith("iVBORw0KGgo")  # a PNG in base 64
        seen.append(f"new {png['text/plain']}")
        return SimpleNamespace(update=lambda png, raw: seen.append(f"again {png['text/plain']}"))

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    data = CirclesData()
    data.plot_data()
    for _ in range(2):
        data.plot_data_with_grid(probabilities(data))
    shell.execution_count = 2
    data.plot_data_with_grid(probabilities(data))
    assert seen == ["new (data)", "new (grid)", "again (grid)", "new (grid)"]
    assert plt.get_fignums() == []
    del shell.kernel  # IPython in a terminal
    data.plot_data()
    assert len(plt.get_fignums()) == 1


# ------------------------------------------------------------------ the lab's own loops

SETTINGS = """
data = CirclesData()
data.plot_data()
N = data.Xtrain.shape[0]
Nbatch = 10
nx = data.Xtrain.shape[1]
nh = 10
ny = data.Ytrain.shape[1]
eta = 0.03

params = init_params(nx, nh, ny)

curves = [[],[], [], []]

for iteration in range(EPOCHS):

    perm = np.random.permutation(N)
    Xtrain = data.Xtrain[perm, :]
    Ytrain = data.Ytrain[perm, :]

    for j in range(N // Nbatch):

        indsBatch = range(j * Nbatch, (j+1) * Nbatch)
        X = Xtrain[indsBatch, :]
        Y = Ytrain[indsBatch, :]
"""
PART_1 = """
        Y_hat, outputs = forward(params, X)
        loss, accuracy = loss_accuracy(Y_hat, Y)
        grads = backward(params, outputs, Y)
        params = sgd(params, grads, eta)
"""
PART_2 = """
        Y_hat, outputs = forward(params, X)
        loss, accuracy = loss_accuracy(Y_hat, Y)
        loss.backward()
        params = sgd(params, eta)
"""
REPORT = """
    Yhat_train, _ = forward(params, data.Xtrain)
    Yhat_test, _ = forward(params, data.Xtest)
    Ltrain, acctrain = loss_accuracy(Yhat_train, data.Ytrain)
    Ltest, acctest = loss_accuracy(Yhat_test, data.Ytest)
    Ygrid, _ = forward(params, data.Xgrid)

    title = 'Iter {}: Acc train {:.1f}% ({:.2f}), acc test {:.1f}% ({:.2f})'.format(iteration, acctrain, Ltrain, acctest, Ltest)
    print(title)
    data.plot_data_with_grid(Ygrid GRID, title)

    curves[0].append(acctrain)
    curves[1].append(acctest)
    curves[2].append(Ltrain)
    curves[3].append(Ltest)
"""  # noqa: E501
CURVES = """
fig = plt.figure()
plt.plot(curves[0], label="acc. train")
plt.plot(curves[1], label="acc. test")
plt.plot(curves[2], label="loss train")
plt.plot(curves[3], label="loss test")
plt.legend()
"""
FUNCTIONS_OF_PART_2 = """
def init_params(nx, nh, ny):
    params = {}
    params["Wh"] = torch.randn(nh, nx) * 0.3
    params["Wh"].requires_grad = True
    params["Wy"] = torch.randn(ny, nh) * 0.3
    params["Wy"].requires_grad = True
    params["bh"] = torch.zeros(nh,1, requires_grad=True)
    params["by"] = torch.zeros(ny,1, requires_grad=True)
    return params

def forward(params, X):
    outputs = {}
    outputs["X"] = X
    outputs["htilde"] = torch.mm(X, params["Wh"].T) + params["bh"].T
    outputs["h"] = torch.tanh(outputs["htilde"])
    outputs["ytilde"] = torch.mm(outputs["h"], params["Wy"].T) + params["by"].T
    outputs["yhat"] = torch.exp(outputs["ytilde"])
    outputs["yhat"] = outputs["yhat"] / outputs["yhat"].sum(dim=-1, keepdim=True)
    return outputs['yhat'], outputs

def loss_accuracy(Yhat, Y):
    L = - torch.mean((Y * torch.log(Yhat)).sum(dim=1))
    _, indYhat = torch.max(Yhat, 1)
    _, indY = torch.max(Y, 1)
    acc = torch.sum(indY == indYhat) * 100. / indY.size(0);
    return L, acc

def sgd(params, eta):
    with torch.no_grad():
        for name in ("Wh", "Wy", "bh", "by"):
            params[name] -= eta * params[name].grad
            params[name].grad.zero_()
    return params
"""


@cache
def lab_module() -> ModuleType:
    return codegen.compile_module(codegen.generate("2-10-2", names="lab"))


def run(text: str, **names: Any) -> dict[str, Any]:
    space = {"np": np, "torch": torch, "plt": plt} | names
    np.random.seed(0)
    torch.manual_seed(0)
    exec(compile(text, "lab.py", "exec"), space)
    return space


@pytest.mark.parametrize("backend", [None, "numpy"])
def test_part_1_runs_unchanged_on_generated_functions(
    backend: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = lab_module()
    text = SETTINGS + PART_1 + REPORT.replace(" GRID", "") + CURVES
    done = run(text, **vars(lab), CirclesData=lambda: CirclesData(backend), EPOCHS=6)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[-1].startswith("Iter 5: Acc train ")
    assert done["curves"][2][-1] < done["curves"][2][0]
    assert len(plt.gcf().axes[0].get_lines()) == 4
    assert isinstance(done["Ygrid"], KINDS[backend or "torch"])
    # the same weights, order and steps whichever the backend
    assert done["params"]["Wh"][0, 0] == pytest.approx(other_run()["params"]["Wh"][0, 0], rel=1e-6)


@cache
def other_run() -> dict[str, Any]:
    """Return what the loop leaves behind on arrays, without its pictures."""
    lab = lab_module()
    text = "\n".join(line for line in (SETTINGS + PART_1).splitlines() if "plot" not in line)
    return run(text, **vars(lab), CirclesData=lambda: CirclesData("numpy"), EPOCHS=6)


def test_part_2_runs_unchanged_on_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    text = FUNCTIONS_OF_PART_2 + SETTINGS + PART_2 + REPORT.replace(" GRID", ".detach()")
    done = run(text, CirclesData=CirclesData, EPOCHS=6)
    assert len(capsys.readouterr().out.splitlines()) == 6
    losses = [L.item() for L in done["curves"][2]]
    assert losses[-1] < losses[0]
    # pyplot cannot draw losses that autograd tracks, as the lab's last lines ask; this can
    done["data"].plot_loss(
        done["curves"][2], done["curves"][3], done["curves"][0], done["curves"][1]
    )
    assert "Circles" in texts(plt.gcf())
