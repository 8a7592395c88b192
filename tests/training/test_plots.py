"""The pictures: there, of the right kind, saying what they show, and always the same bytes."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.colors
import matplotlib.image
import mounts
import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from runtime import decision_picture, plots
from runtime.data.circles import circles
from runtime.data.dataset import Dataset
from runtime.errors import InputError, RunError
from runtime.history import History
from runtime.picture import PALETTE
from runtime.plots import curves_png, decision_png, plot_curves, plot_decision

EPOCHS = np.arange(1, 151)
HISTORY = History(
    figures=np.stack(
        [
            0.2 + 0.5 * np.exp(-EPOCHS / 40),
            0.95 - 0.45 * np.exp(-EPOCHS / 40),
            0.25 + 0.5 * np.exp(-EPOCHS / 40),
            0.90 - 0.45 * np.exp(-EPOCHS / 40),
        ],
        axis=1,
    ),
    seconds=EPOCHS / 1000,
)
CIRCLES = circles(0)
RADIUS = 0.686


def radial(X: np.ndarray) -> np.ndarray:
    """Return what a well-trained network says of the rings: outer, inner."""
    outer = 1 / (1 + np.exp(-8 * (np.hypot(*X.T) - RADIUS)))
    return np.stack([outer, 1 - outer], axis=1)


def blobs(classes: int, stretch: float = 1.0) -> tuple[Dataset, Callable[[np.ndarray], np.ndarray]]:
    """Return a set with so many classes round the origin, and the probabilities for it."""
    angles = 2 * np.pi * np.arange(classes) / classes
    centres = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rng = np.random.default_rng(classes)
    labels = np.arange(20 * classes) % classes
    parts = [
        (centres[labels] + 0.5 * rng.normal(size=(len(labels), 2))) * [stretch, 1] for _ in "ab"
    ]
    Y = np.eye(classes)[labels]
    dataset = Dataset(
        name="blobs",
        X_train=parts[0],
        Y_train=Y,
        X_test=parts[1],
        Y_test=Y,
        classes=tuple(range(classes)),
        grid=None,
        sources={},
    )

    def predict(X: np.ndarray) -> np.ndarray:
        P = np.exp(X / [stretch, 1] @ centres.T)
        return P / P.sum(axis=1, keepdims=True)

    return dataset, predict


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return a list to which every figure is added on its way to PNG."""
    seen: list[Figure] = []
    draw = plots.png_bytes

    def spy(figure: Figure) -> bytes:
        seen.append(figure)
        return draw(figure)

    monkeypatch.setattr(plots, "png_bytes", spy)
    monkeypatch.setattr(decision_picture, "png_bytes", spy)
    return seen


def pixels(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(io.BytesIO(png), format="png")


def colours(image: np.ndarray) -> int:
    return len(np.unique((255 * image).astype(np.uint8).view(np.uint32)))


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text)}


def boundary(figure: Figure) -> np.ndarray:
    lines = [line for line in figure.findobj(QuadContourSet) for line in line.get_paths()]
    return np.concatenate([line.vertices for line in lines])


def test_curves_are_a_picture_with_labels_and_final_values(figures: list[Figure]) -> None:
    image = pixels(curves_png(HISTORY, "circles: 2-10-2"))
    assert image.shape == (690, 1500, 4)
    assert colours(image) > 100  # not blank
    found = texts(figures[0])
    assert found >= {"circles: 2-10-2", "epoch", "mean loss per sample", "accuracy (%)"}
    assert found >= {"training", "test"}
    assert found >= {"0.2118", "0.2618", "93.94 %", "88.94 %"}


def test_curves_differ_in_more_than_colour(figures: list[Figure]) -> None:
    curves_png(HISTORY, "circles")
    for axes in figures[0].axes:
        train, test = axes.get_lines()
        assert train.get_linestyle() != test.get_linestyle()
        assert train.get_marker() != test.get_marker()


def test_curves_show_the_numbers_in_per_cent(figures: list[Figure]) -> None:
    curves_png(HISTORY, "circles")
    loss, accuracy = figures[0].axes
    np.testing.assert_array_equal(loss.get_lines()[1].get_ydata(), HISTORY.test_loss)
    np.testing.assert_array_equal(accuracy.get_lines()[0].get_ydata(), 100 * HISTORY.train_accuracy)
    np.testing.assert_array_equal(accuracy.get_lines()[0].get_xdata(), EPOCHS)


def test_final_values_that_nearly_agree_do_not_overlap(figures: list[Figure]) -> None:
    curves_png(History(figures=[[1, 0.1, 2, 0.1], [0.5, 0.9, 0.5, 0.9]], seconds=[1, 2]), "same")
    for axes in figures[0].axes:
        heights = sorted(text.get_position()[1] for text in axes.texts)
        assert len(heights) == 2
        assert np.diff(heights) > 0.05
        boxes = [text.get_window_extent() for text in axes.texts]
        assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)


def assert_texts_inside(figure: Figure) -> None:
    """Check that the figures beside each panel end before the next panel or the edge."""
    left, right = figure.axes
    limits = (right.get_tightbbox().x0, figure.bbox.x1)  # type: ignore[union-attr]
    for axes, limit in zip((left, right), limits, strict=True):
        assert all(text.get_window_extent().x1 < limit for text in axes.texts)


STRANGE = {
    "no epoch": np.empty((0, 4)),
    "one epoch": np.array([[0.5, 0.9, 0.6, 0.8]]),
    "no test": np.stack([EPOCHS / 10, EPOCHS / 200, EPOCHS * np.nan, EPOCHS * np.nan], axis=1),
    "nothing": np.full((5, 4), np.nan),
    "diverged": np.array([[0.7, 0.5, 0.7, 0.5], [1e308, 0.5, np.inf, 0.5], [np.nan, 0.5, 0, 0.5]]),
    "constant": np.full((5, 4), 0.5),
    "large": np.tile([123456.789, 1.0, 98765.4, 1.0], (5, 1)),
    "perfect": np.tile([0.0, 1.0, 0.0, 1.0], (5, 1)),
}


@pytest.mark.parametrize("table", STRANGE.values(), ids=STRANGE)
def test_curves_of_strange_histories(table: np.ndarray, figures: list[Figure]) -> None:
    pixels(curves_png(History(figures=table, seconds=np.arange(len(table))), "strange"))
    drawn = [line for axes in figures[0].axes for line in axes.get_lines()]
    assert len(drawn) == np.count_nonzero(np.isfinite(table).any(axis=0))
    assert ("not measured" in texts(figures[0])) == (not drawn)
    for axes in figures[0].axes:
        assert np.isfinite(axes.get_ylim()).all()
    assert_texts_inside(figures[0])


def test_decision_is_a_picture_with_labels(figures: list[Figure]) -> None:
    image = pixels(decision_png(radial, CIRCLES, "circles: 2-10-2"))
    assert image.shape[0] > 800
    assert image.shape[1] > 1000
    assert colours(image) > 1000
    assert texts(figures[0]) >= {
        "circles: 2-10-2",
        "x₁",
        "x₂",
        "outer",
        "inner",
        "training",
        "test",
        "decision boundary",
        "probability of inner",
    }


def test_decision_covers_the_grid_and_all_points_at_equal_scale(figures: list[Figure]) -> None:
    decision_png(radial, CIRCLES, "circles")
    axes = figures[0].axes[0]
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert low <= -2
        assert high >= 2
    box = axes.get_window_extent()
    assert box.width / np.ptp(axes.get_xlim()) == pytest.approx(
        box.height / np.ptp(axes.get_ylim())
    )


def test_boundary_is_where_the_decision_changes(figures: list[Figure]) -> None:
    decision_png(radial, CIRCLES, "circles")
    np.testing.assert_allclose(np.hypot(*boundary(figures[0]).T), RADIUS, atol=0.01)


def test_two_outputs_that_are_no_distribution_are_compared(figures: list[Figure]) -> None:
    # two sigmoids: the second is nowhere above 1/2, and yet it wins inside
    decision_png(lambda X: 0.4 * radial(X), CIRCLES, "circles")
    np.testing.assert_allclose(np.hypot(*boundary(figures[0]).T), RADIUS, atol=0.01)


ONE_COLUMN: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool, str]] = {
    "sigmoid": (lambda X: radial(X)[:, 1:], True, "probability of inner"),
    "identity": (lambda X: RADIUS - np.hypot(*X.T)[:, None], False, "output"),
}


@pytest.mark.parametrize(("predict", "probabilities", "label"), ONE_COLUMN.values(), ids=ONE_COLUMN)
def test_one_output(
    predict: Callable[[np.ndarray], np.ndarray],
    probabilities: bool,
    label: str,
    figures: list[Figure],
) -> None:
    decision_png(predict, CIRCLES, "one output", probabilities=probabilities)
    np.testing.assert_allclose(np.hypot(*boundary(figures[0]).T), RADIUS, atol=0.01)
    assert label in texts(figures[0])


def test_shade_follows_the_probability(figures: list[Figure]) -> None:
    decision_png(radial, CIRCLES, "circles")
    image = figures[0].axes[0].images[0]
    values = np.asarray(image.get_array())
    rows, columns = values.shape
    assert values[rows // 2, columns // 2] == pytest.approx(1, abs=0.01)  # inner, in the middle
    assert values[0, 0] == pytest.approx(0, abs=0.01)
    middle, corner = image.cmap(1.0), image.cmap(0.0)
    assert middle[2] > middle[0]  # blue as the inner points
    assert corner[0] > corner[2]  # vermillion as the outer ones


def test_up_is_up_and_right_is_right(figures: list[Figure]) -> None:
    def quadrant(X: np.ndarray) -> np.ndarray:  # classes 0, 1 above; 2, 3 below; 0, 2 on the left
        return np.eye(4)[(X[:, 0] > 0) + 2 * (X[:, 1] < 0)]

    dataset, _ = blobs(4)
    image = pixels(decision_png(quadrant, dataset, "quadrants"))
    box = figures[0].axes[0].get_window_extent()
    left, right = (round(box.x0 + share * box.width) for share in (0.02, 0.98))
    above, below = (round(len(image) - box.y0 - share * box.height) for share in (0.98, 0.02))
    corners = [image[y, x, :3] for y in (above, below) for x in (left, right)]
    for k, corner in enumerate(corners):
        expected = 1 - 0.62 * (1 - np.array(matplotlib.colors.to_rgb(PALETTE[k])))
        np.testing.assert_allclose(corner, expected, atol=0.01)


def test_up_is_up_for_two_classes_too(figures: list[Figure]) -> None:
    image = pixels(decision_png(lambda X: np.eye(2)[(X[:, 1] > 0).astype(int)], CIRCLES, "halves"))
    box = figures[0].axes[0].get_window_extent()
    above, below = (round(len(image) - box.y0 - share * box.height) for share in (0.98, 0.02))
    middle = round(box.x0 + box.width / 2)
    assert image[above, middle, 2] > image[above, middle, 0]  # blue, the second class
    assert image[below, middle, 0] > image[below, middle, 2]


@pytest.mark.parametrize(("classes", "probabilities"), [(3, True), (20, True), (5, False)])
def test_more_classes(classes: int, probabilities: bool, figures: list[Figure]) -> None:
    dataset, predict = blobs(classes)
    decision_png(predict, dataset, "many", probabilities=probabilities)
    on_boundary = np.sort(predict(boundary(figures[0])), axis=1)
    assert (on_boundary[:, -1] - on_boundary[:, -2]).max() < 0.1
    found = texts(figures[0])
    assert found >= {f"class {k}" for k in range(min(classes, 17))}
    assert ("3 more" in found) == (classes == 20)


def test_legend_does_not_leave_the_picture(figures: list[Figure]) -> None:
    for classes in (3, 10):
        dataset, predict = blobs(classes, stretch=0.4)
        decision_png(predict, dataset, "a title that is much too long for the picture" * 3)
    for figure in figures:
        inside = figure.bbox.padded(1)
        for artist in (*figure.legends, *figure.texts):
            box = artist.get_window_extent()
            assert inside.contains(box.x0, box.y0)
            assert inside.contains(box.x1, box.y1)
        assert figure.legends[0].get_window_extent().y1 < figure.axes[0].get_window_extent().y0


def test_train_and_test_points_differ_in_filling_and_classes_in_marker(
    figures: list[Figure],
) -> None:
    decision_png(radial, CIRCLES, "circles")
    points = figures[0].axes[0].collections[-4:]
    fills = [tuple(part.get_facecolor()[0]) for part in points]
    white = (1, 1, 1, 1)
    assert [fill == white for fill in fills] == [False, False, True, True]
    assert fills[0] != fills[1]
    shapes = [len(part.get_paths()[0].vertices) for part in points]
    assert shapes[0] == shapes[2] != shapes[1] == shapes[3]
    counts = [len(part.get_offsets()) for part in points]
    assert counts == [100, 100, 100, 100]


def test_axes_in_different_units_are_not_forced_to_one_scale(figures: list[Figure]) -> None:
    dataset, predict = blobs(3, stretch=1000.0)
    decision_png(predict, dataset, "km against m")
    box = figures[0].axes[0].get_window_extent()
    assert box.width == pytest.approx(box.height)


def test_large_sets_are_thinned_and_say_so(figures: list[Figure]) -> None:
    dataset, predict = blobs(3)
    many = {name: np.repeat(getattr(dataset, name), 100, axis=0) for name in ("X_train", "Y_train")}
    fields = {name: getattr(dataset, name) for name in Dataset.__slots__}
    decision_png(predict, Dataset(**fields | many), "many points")
    assert "training (1 in 3)" in texts(figures[0])
    assert "test" in texts(figures[0])
    drawn = sum(len(part.get_offsets()) for part in figures[0].axes[0].collections[-6:-3])
    assert drawn == 2000


def test_network_that_overflows_is_shown_as_such(figures: list[Figure]) -> None:
    def broken(X: np.ndarray) -> np.ndarray:
        return np.where(X[:, :1] > 1, np.nan, radial(X))

    decision_png(broken, CIRCLES, "broken")
    decision_png(lambda X: np.full((len(X), 2), np.nan), CIRCLES, "all broken")
    assert ["not a number" in texts(figure) for figure in figures] == [True, True]
    dataset, predict = blobs(3)
    decision_png(lambda X: np.where(X[:, :1] > 1, np.inf, predict(X)), dataset, "broken")
    assert "not a number" in texts(figures[-1])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_network_that_never_changes_its_mind_has_no_boundary(
    share: float, figures: list[Figure]
) -> None:
    decision_png(lambda X: np.full((len(X), 2), [share, 1 - share]), CIRCLES, "constant")
    assert not figures[0].findobj(QuadContourSet)


def test_predict_gets_points_in_the_dtype_of_the_data() -> None:
    seen = []

    def predict(X: np.ndarray) -> np.ndarray:
        seen.append((X.dtype, X.shape[1]))
        return radial(X)

    decision_png(predict, CIRCLES.astype(np.float32), "float32")
    assert seen == [(np.float32, 2)]


@pytest.mark.parametrize("shape", [(3,), (1,), ()])
def test_predict_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    dataset, _ = blobs(5)
    with pytest.raises(InputError, match=r"predict gives shape .*a column per class of blobs"):
        decision_png(lambda X: np.ones((len(X), *shape)), dataset, "wrong")


def test_data_with_three_columns_are_refused(tmp_path: Path) -> None:
    fields = {name: getattr(CIRCLES, name) for name in Dataset.__slots__} | {"grid": None}
    wide = {name: np.ones((200, 3)) for name in ("X_train", "X_test")}
    with pytest.raises(InputError, match="3 input columns, a picture needs two"):
        plot_decision(radial, Dataset(**fields | wide), tmp_path / "decision.png", "wide")
    assert list(tmp_path.iterdir()) == []


def test_titles_and_names_are_not_marked_up() -> None:
    fields: dict[str, Any] = {name: getattr(CIRCLES, name) for name in Dataset.__slots__}
    dataset = Dataset(**fields | {"classes": ("$a^", r"\frac_$")})
    pixels(decision_png(radial, dataset, "cost in $ and $\\frac"))
    pixels(curves_png(HISTORY, "a\nb\t$x^$ 数 " + "long " * 100))


def test_equal_input_gives_equal_bytes_whatever_the_settings() -> None:
    def draw() -> tuple[bytes, bytes]:
        return curves_png(HISTORY, "circles"), decision_png(radial, CIRCLES, "circles")

    first = draw()
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "text.usetex": True}):
        before = dict(mpl.rcParams)
        assert draw() == first
        assert dict(mpl.rcParams) == before  # and the user's settings are left alone
    for png in first:
        assert b"tEXt" not in png  # neither date nor version


def test_files_are_written_whole(tmp_path: Path) -> None:
    plot_curves(HISTORY, tmp_path / "curves.png", "circles")
    plot_decision(radial, CIRCLES, tmp_path / "decision.png", "circles")
    assert (tmp_path / "curves.png").read_bytes() == curves_png(HISTORY, "circles")
    assert (tmp_path / "decision.png").read_bytes() == decision_png(radial, CIRCLES, "circles")
    with pytest.raises(InputError, match="its folder does not exist"):
        plot_curves(HISTORY, tmp_path / "no" / "curves.png", "circles")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "decision.png"]


def test_full_disk_keeps_the_old_picture(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk", "16k") as disk:
        (disk / "decision.png").write_text("old")
        with pytest.raises(RunError, match="the disk is full"):
            plot_decision(radial, CIRCLES, disk / "decision.png", "circles")
        assert (disk / "decision.png").read_text() == "old"
        assert [path.name for path in disk.iterdir()] == ["decision.png"]


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = (
        "import sys, runtime.plots, runtime.run_folder, runtime.run_record, runtime.model_file\n"
        "print(*{'matplotlib', 'scipy', 'safetensors', 'numba', 'torch', 'sympy'}"
        " & set(sys.modules))\n"
        "from runtime.plots import *; from runtime.history import History\n"
        "curves_png(History.empty(), 'none'); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split("\n") == ["", "False", ""]
