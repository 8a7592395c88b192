"""The pictures beyond curves and decision: there when they can be, and true to the numbers."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import codegen
import runtime
from derive.spec import parse_spec
from runtime import Dataset, History, Model, Settings, TrainResult
from runtime.confusion_picture import confusion_figure
from runtime.data.circles import circles
from runtime.errors import InputError
from runtime.gradient_picture import gradient_norms_figure
from runtime.image_pictures import first_layer_figure, mistakes_figure
from runtime.picture import picture_bytes
from runtime.regression_picture import regression_figure
from runtime.run_pictures import picture_names, run_pictures


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_shared() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
        yield


@pytest.fixture(scope="module")
def watched() -> TrainResult:
    return runtime.train("circles", epochs=8, animate=True, gradient_norms=True)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def image_set(classes: int = 3, rows: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    X = (rng.random((rows, 784)) + (labels == 0)[:, None]).astype(np.float32)
    Y = np.eye(classes, dtype=np.float32)[labels]
    return Dataset(
        name="images",
        X_train=X,
        Y_train=Y,
        X_test=X[::2],
        Y_test=Y[::2],
        classes=tuple(f"kind {k}" for k in range(classes)),
        grid=None,
        sources={},
    )


def lines(inputs: int = 1, outputs: int = 1, rows: int = 50) -> Dataset:
    X = np.random.default_rng(0).random((rows, inputs)).astype(np.float32)
    Y = np.stack([(k + 1) * X[:, 0] for k in range(outputs)], axis=1)
    return Dataset(
        name="lines",
        X_train=X,
        Y_train=Y,
        X_test=X[::2],
        Y_test=Y[::2],
        classes=(),
        grid=None,
        sources={},
    )


def untrained(data: Dataset, spec: str, loss: str = "cross-entropy") -> TrainResult:
    """Return what a run gives, by kernels that need no compiling, before the first step."""
    network = parse_spec(spec, loss=loss)
    source = codegen.generate(network, target="numpy", labels="any")
    module = codegen.compile_module(source)
    params = module.init_params()
    return TrainResult(
        model=Model(
            network=network, labels="any", params=params, module=module, source=source.text
        ),
        history=History(figures=np.full((2, 4), 0.5), seconds=[0.0, 1.0]),
        data=data,
        settings=Settings(epochs=2, batch=10),
    )


def test_each_run_has_the_pictures_that_fit(watched: TrainResult) -> None:
    assert picture_names(watched) == ["curves", "decision", "gradient_norms"]
    images = untrained(image_set(), "784-4-3")
    assert picture_names(images) == ["curves", "confusion", "mistakes", "first_layer"]
    files = run_pictures(images, form="svg", log=True)
    assert list(files) == [f"{name}.svg" for name in picture_names(images)]
    for content in files.values():
        assert content.startswith(b"<?xml")
        assert b"<dc:date>" not in content
    # hinge gives no probabilities, so no mistake is the worst
    hinge = untrained(image_set(), "784-4-3", loss="hinge")
    assert "mistakes" not in picture_names(hinge)
    with pytest.raises(InputError, match="no probabilities"):
        hinge.plot_mistakes()
    assert picture_names(untrained(lines(), "1-3-1", loss="mse")) == ["curves", "regression"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plot_mistakes", "2 inputs, an image has 784"),
        ("plot_first_layer", "2 inputs, an image has 784"),
        ("plot_gradient_norms", "none were measured"),
        ("animation", "no frame to animate"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, told: str) -> None:
    result = runtime.train("circles", epochs=1)
    with pytest.raises(InputError, match=told):
        getattr(result, name)()


def test_svg_and_png_are_the_same_bytes_again(watched: TrainResult, tmp_path: Path) -> None:
    for path in (tmp_path / "a.svg", tmp_path / "b.svg"):
        watched.plot(path, log=True)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert watched.plot_decision().png == watched.plot_decision().png


def test_confusion_counts_and_shares() -> None:
    confusion = np.array([[8, 2, 0], [0, 5, 0], [0, 0, 0]])
    with confusion_figure(confusion, ("a", "b", "c"), "title") as figure:
        found = texts(figure)
        assert picture_bytes(figure, "png").startswith(b"\x89PNG")
    assert found.count("·") == 6
    assert {"8", "2", "5", "80.0 %", "100.0 %", "no samples"} <= set(found)


@pytest.mark.parametrize("right", range(0, 101, 4))
def test_counts_can_be_read_on_their_shade(right: int) -> None:
    """The contrast of letters with what they stand on, as the WCAG counts it: 4.5 and more."""
    with confusion_figure(np.array([[right, 100 - right], [0, 9]]), ("a", "b"), "t") as figure:
        (shown,) = figure.axes[0].get_images()
        shades = shown.to_rgba(shown.get_array())[..., 0]
        for cell in [c for c in figure.axes[0].texts if c.get_text().isdigit()]:
            column, row = cell.get_position()
            paper, ink = _luminance(shades[row, column]), float(cell.get_color() == "white")
            assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5, cell.get_text()


def _luminance(grey: float) -> float:
    return float(grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4)


def test_confusion_of_a_run_agrees_with_its_accuracy(watched: TrainResult) -> None:
    result = watched
    figure = result.plot_confusion().figure
    cells = [t for t in figure.axes[0].texts if t.get_text().isdigit()]
    right = sum(int(t.get_text()) for t in cells if t.get_position()[0] == t.get_position()[1])
    assert sum(int(t.get_text()) for t in cells) == len(result.data.X_test)
    assert right / len(result.data.X_test) == pytest.approx(result.history.test_accuracy[-1])


def test_the_worst_mistakes_come_first() -> None:
    X = np.random.default_rng(0).random((5, 784))
    P = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.99, 0.01], [0.3, 0.7]])
    labels = np.array([0, 0, 0, 1, 1])
    with mistakes_figure(X, P, labels, ("cat", "dog"), "title") as figure:
        titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
        shown = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
        assert "The 3 worst of 3 mistakes in 5 test images" in texts(figure)
    assert titles == [
        "said cat (99 %)\nis dog",
        "said dog (80 %)\nis cat",
        "said dog (60 %)\nis cat",
    ]
    np.testing.assert_array_equal(np.asarray(shown[0]).ravel(), X[3])
    with mistakes_figure(X, P, P.argmax(axis=1), ("cat", "dog"), "title") as figure:
        assert "No mistakes in 5 test images" in texts(figure)


@pytest.mark.parametrize("units", [1, 10, 100, 300])
def test_the_first_layer_shows_each_unit(units: int) -> None:
    W = np.random.default_rng(0).normal(size=(units, 784))
    initial = np.random.default_rng(1).normal(size=(units, 784))
    with first_layer_figure(W, initial, "title") as figure:
        sheets = [axes.get_images()[0].get_array() for axes in figure.axes[::2]]
    for sheet, shown in zip(sheets, (W, W - initial), strict=True):
        pixels = np.ma.asarray(sheet)
        assert pixels.count() == min(units, 100) * 784
        if units <= 100:
            np.testing.assert_array_equal(np.asarray(pixels[:28, :28]), shown[0].reshape(28, 28))


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 1), (3, 4), (2, 8)])
def test_a_regression_has_a_panel_for_each_output(inputs: int, outputs: int) -> None:
    data = lines(inputs, outputs, rows=2_500)

    def predict(X: np.ndarray) -> np.ndarray:
        return 2 * X[:, :1] * np.arange(1, outputs + 1)

    with regression_figure(predict, data, "title") as figure:
        panels = [axes for axes in figure.axes if axes.collections]
        assert len(panels) == min(outputs, 6)
        assert "training (1 in 2)" in texts(figure)
        for k, axes in enumerate(panels):
            points = np.asarray(axes.collections[1].get_offsets())
            assert len(points) == 1_250
            if inputs == 1:
                np.testing.assert_allclose(points, np.c_[data.X_test, data.Y_test])
                x, y = axes.lines[0].get_data()
                np.testing.assert_allclose(y, 2 * np.asarray(x), rtol=1e-6)
            else:
                np.testing.assert_allclose(points[:, 0], data.Y_test[:, k])
                np.testing.assert_allclose(points[:, 1], 2 * data.Y_test[:, k], rtol=1e-6)
                assert axes.get_xlim() == axes.get_ylim()


def test_predictions_that_are_no_numbers_are_left_out() -> None:
    with regression_figure(lambda X: np.full((len(X), 1), np.nan), lines(2), "title") as figure:
        assert [len(part.get_offsets()) for part in figure.axes[0].collections] == [0, 0]
        assert picture_bytes(figure, "png")


@pytest.mark.parametrize("layers", [1, 2, 20])
def test_gradient_norms_have_a_line_for_each_layer(layers: int) -> None:
    norms = {epoch: [0.5**layer / (1 + epoch) for layer in range(layers)] for epoch in range(9)}
    with gradient_norms_figure(norms, 100, "title") as figure:
        axes = figure.axes[0]
        assert len(axes.get_lines()) == layers
        assert axes.get_yscale() == "log"
        np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [norms[e][0] for e in norms])


def test_epochs_are_whole_numbers() -> None:
    with gradient_norms_figure({0: [1.0], 1: [0.5], 2: [0.2]}, 3, "title") as figure:
        assert figure.axes[0].get_xticks().tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_gradients_without_a_logarithm_are_left_out(value: float) -> None:
    with gradient_norms_figure({0: [value], 1: [value]}, 3, "title") as figure:
        assert "all are 0" in texts(figure)


def test_the_animation_has_a_frame_for_each_copy(watched: TrainResult) -> None:
    content = watched.animation()
    assert content == watched.animation()
    with Image.open(io.BytesIO(content)) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == len(watched.copies) == 9  # type: ignore[attr-defined]
        assert gif.info["loop"] == 0
        first = np.asarray(gif.convert("RGB"), np.int16)
        gif.seek(gif.n_frames - 1)  # type: ignore[attr-defined]
        last = np.asarray(gif.convert("RGB"), np.int16)
    assert np.abs(first - last).max() > 50


def test_scaled_data_are_drawn_in_their_own_units() -> None:
    data = circles()
    far = replace(data, X_train=1000 + 50 * data.X_train, X_test=1000 + 50 * data.X_test, grid=None)
    result = runtime.train(far, "2-10-2", scale="standard", epochs=1)
    axes = result.plot_decision().figure.axes[0]
    points = np.concatenate([np.asarray(c.get_offsets()) for c in axes.collections[-4:]])
    assert points[:, 0].min() == pytest.approx(min(far.X_train[:, 0].min(), far.X_test[:, 0].min()))
    assert axes.get_xlim()[0] > 800
    # what is drawn at a point is what the network says of it
    own = result.data.in_own_units()
    np.testing.assert_allclose(own.X_train, far.X_train, rtol=1e-5)
    np.testing.assert_allclose(
        result.predict(own.X_train), result.model.predict(result.data.X_train), atol=1e-5
    )
