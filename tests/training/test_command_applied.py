"""``gradwright predict`` and ``evaluate``, and training on a user's own data before them."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_data import archive
from command_line import content_of, environment, run_here
from data_folder import real_data, write_small_mnist
from numpy.typing import NDArray
from run_results import record_in, rows_in, write_set

import runtime
from runtime.data.mnist import FASHION_MNIST, load_images
from runtime.errors import InputError
from runtime.model_file import load_model, save_model

RNG = np.random.default_rng(1)
KIND = np.array(["no", "yes"])[np.arange(120) % 2]
POINTS = RNG.normal(size=(120, 2)) * [1, 50] + 1.5 * (KIND == "yes")[:, None] * [1, 50] + [3, 700]
TARGET = 0.02 * POINTS[:, 1] - POINTS[:, 0] + RNG.normal(size=120)
REGRESSION = ["--loss", "mse", "--scale", "standard", "--epochs", "30", "--batch", "7"]


def write_csv(path: Path, rows: Any, header: str = "") -> None:
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs: ``two``, a classification, and ``real``, a regression."""
    folder = tmp_path_factory.mktemp("applied")
    rows = [(*x, kind) for x, kind in zip(POINTS.tolist(), KIND.tolist(), strict=True)]
    write_csv(folder / "two.csv", rows, "a,b,kind")
    write_csv(folder / "real.csv", np.column_stack([POINTS, TARGET]).tolist(), "a,b,t")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = ["--scale", "standard", "--epochs", "20", "--no-plot"]
        outcome = run_here("train", "two.csv", "2-10-2", *options, "--data-seed", "3")
        assert outcome.status == 0, outcome.err
        outcome = run_here("train", "real.csv", "2-1", *REGRESSION)
        assert outcome.status == 0, outcome.err
        (folder / "said").write_text(outcome.out)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of one's own with the data and runs of `made`."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(folder: Path, X: NDArray[Any]) -> NDArray[Any]:
    """Return what a run's network says, by plain NumPy from its weights."""
    params, meta = load_model(folder / "model.safetensors")
    scaling = meta["scaling"]
    X = (X - np.array(scaling["shift"])) / np.array(scaling["unit"])
    Z = X @ params["W1"].T + params["b1"]
    if "W2" in params:
        Z = np.tanh(Z) @ params["W2"].T + params["b2"]
    if not meta["classes"]:
        return Z
    exp = np.exp(Z - Z.max(axis=1, keepdims=True))
    found: NDArray[Any] = exp / exp.sum(axis=1, keepdims=True)
    return found


# ------------------------------------------------------------------- predict


def test_classes_and_probabilities(here: Path) -> None:
    write_csv(here / "new.csv", POINTS.tolist(), "a,b")
    outcome = run_here("predict", "runs/two", "new.csv")
    assert (outcome.status, outcome.err) == (0, "")
    rows = list(csv.reader(io.StringIO(outcome.out)))
    assert rows[0] == ["class", "p(no)", "p(yes)"]
    P = outputs(here / "runs" / "two", POINTS)
    np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], float), P, atol=1e-5)
    sure = np.abs(P[:, 0] - 0.5) > 1e-4
    expected = np.array(["no", "yes"])[P.argmax(axis=1)]
    assert (np.array([row[0] for row in rows[1:]]) == expected)[sure].all()
    # with the labels, from an archive, and into a file: the same
    (here / "new.npz").write_bytes(archive(X=POINTS))
    assert run_here("predict", "runs/two", "two.csv").out == outcome.out
    assert run_here("predict", "runs/two", "new.npz").out == outcome.out
    assert run_here("predict", "runs/two", "new.csv", "-o", "answers.csv").out == ""
    assert (here / "answers.csv").read_text() == outcome.out


def test_real_predictions(here: Path) -> None:
    outcome = run_here("predict", "runs/real", "real.csv")
    assert outcome.out.startswith("prediction\n")
    found = np.array(outcome.out.split()[1:], float)
    np.testing.assert_allclose(found, outputs(here / "runs" / "real", POINTS)[:, 0], atol=1e-4)


def test_kernels_in_the_folder_are_never_run(here: Path) -> None:
    (here / "runs" / "two" / "kernels.py").write_text("open('executed', 'w')\n")
    assert run_here("predict", "runs/two", "two.csv").status == 0
    assert run_here("evaluate", "runs/two", "two.csv").status == 0
    assert not (here / "executed").exists()


# ------------------------------------------------------------------- evaluate


def test_figures_of_a_classification(here: Path) -> None:
    P = outputs(here / "runs" / "two", POINTS)
    codes = (KIND == "yes").astype(int)
    outcome = run_here("evaluate", "runs/two", "two.csv", "--format", "json")
    found = json.loads(outcome.out)
    assert found["samples"] == 120
    assert found["classes"] == ["no", "yes"]
    assert found["loss"] == pytest.approx(-np.log(P[np.arange(120), codes]).mean(), rel=1e-4)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (codes, P.argmax(axis=1)), 1)
    assert found["confusion"] == confusion.tolist()
    assert found["accuracy"] == pytest.approx(np.trace(confusion) / 120)
    text = run_here("evaluate", "runs/two", "two.csv").out
    assert f"({np.trace(confusion)} of 120)" in text
    assert re.search(rf"no +{confusion[0, 0]} +{confusion[0, 1]}\n", text)
    # the rows that were held out give the figures of the run
    results = record_in(here / "runs" / "two")["results"]
    for part in ("test", "train"):
        outcome = run_here("evaluate", "runs/two", "two.csv", "--part", part, "--format", "json")
        found = json.loads(outcome.out)
        assert found["accuracy"] == results[f"{part}_accuracy"]
        assert found["loss"] == pytest.approx(results[f"{part}_loss"], rel=1e-5)


def test_figures_of_a_regression(here: Path) -> None:
    error = outputs(here / "runs" / "real", POINTS)[:, 0] - TARGET
    outcome = run_here("evaluate", "runs/real", "real.csv", "--format", "json")
    found = json.loads(outcome.out)
    assert found["loss"] == pytest.approx((error**2).mean(), rel=1e-3)
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3)
    assert found["r2"] == pytest.approx(1 - (error**2).mean() / TARGET.var(), abs=1e-4)
    assert "RMSE" in run_here("evaluate", "runs/real", "real.csv").out
    write_csv(here / "flat.csv", [(*x, 1) for x in POINTS[:5].tolist()])
    outcome = run_here("evaluate", "runs/real", "flat.csv", "--format", "json")
    assert json.loads(outcome.out)["r2"] is None


def test_what_a_regression_says_and_leaves(here: Path) -> None:
    line = r"test RMSE \S+  test R² \S+  test loss \S+  train RMSE \S+  train R² \S+  train loss"
    said = (here / "said").read_text()
    assert re.fullmatch(line + r" \S+  30 epochs in \S+ s\n", said)
    folder = here / "runs" / "real"
    assert set(content_of(folder)) == {
        "checkpoint.safetensors",
        "curves.png",
        "history.csv",
        "kernels.py",
        "model.safetensors",
        "regression.png",
        "run.json",
    }
    history = rows_in(folder)
    assert np.isnan(history.figures[:, 1::2]).all()
    assert np.isfinite(history.figures[:, ::2]).all()
    record = record_in(folder)
    assert record["data"]["classes"] == []
    assert record["data"]["options"] == {
        "columns": ["a", "b"],
        "scale": "standard",
        "source": "real.csv",
        "test_fraction": 0.2,
    }
    assert record["results"]["test_accuracy"] is None
    assert record["results"]["test_rmse"] ** 2 == pytest.approx(history.test_loss[-1], rel=1e-5)


# ------------------------------------------------------------------- refusals

REFUSED: list[tuple[list[str], list[str]]] = [
    (["predict", "nowhere", "two.csv"], ["nowhere: does not exist", "folder of a run"]),
    (["predict", "two.csv", "two.csv"], ["two.csv: is not a folder"]),
    (["predict", ".", "two.csv"], ["run.json: there is no such file"]),
    (["predict", "runs/two", "missing.csv"], ["missing.csv: there is no such file"]),
    (["predict", "runs/two", "three.csv"], ["4 columns, and the network has 2 inputs"]),
    (["predict", "runs/two", "three.npz"], ["3 inputs, and the network has 2"]),
    (["predict", "runs/two", "swapped.csv"], ["input 1 is 'b'", "trained with 'a' there"]),
    (["predict", "runs/two", "bare.csv", "--label", "x"], ["there is no column 'x'"]),
    (["predict", "runs/two", "mnist"], ["784 inputs, and the network has 2"]),
    (["evaluate", "runs/two", "bare.csv"], ["there are no labels to compare with"]),
    (["evaluate", "runs/two", "other.csv"], ["'maybe' is not one of the classes", "'no', 'yes'"]),
    (["evaluate", "runs/two", "circles"], ["its classes are outer, inner", "no, yes"]),
    (["evaluate", "runs/two", "copy.csv", "--part", "test"], ["is not the file that the run"]),
    (["evaluate", "runs/real", "two.csv"], ["'no' is not a number", "real targets"]),
]


@pytest.mark.parametrize(("arguments", "parts"), REFUSED, ids=[" ".join(a[1:]) for a, _ in REFUSED])
def test_refused(here: Path, arguments: list[str], parts: list[str]) -> None:
    (here / "three.csv").write_text("1,2,3,no\n")
    (here / "three.npz").write_bytes(archive(X=np.zeros((4, 3))))
    (here / "swapped.csv").write_text("b,a,kind\n1,2,no\n")
    (here / "bare.csv").write_text("1,2\n")
    (here / "other.csv").write_text("1,2,maybe\n")
    (here / "copy.csv").write_text((here / "two.csv").read_text() + "1,2,no\n")
    run_here(*arguments).assert_refused(2, *parts)


def damaged(change: dict[str, Any]) -> Any:
    def damage(folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        for key, value in change.items():
            place = record
            *path, last = key.split(".")
            for name in path:
                place = place[name]
            place[last] = value
        (folder / "run.json").write_text(json.dumps(record))

    return damage


def lying(**meta: Any) -> Any:
    def damage(folder: Path) -> None:
        params, found = load_model(folder / "model.safetensors")
        save_model(folder / "model.safetensors", params, {**found, **meta})

    return damage


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


DAMAGED = {
    "code as a network": (damaged({"spec": "__import__('os').system('touch x')"}), "run.json"),
    "another network": (damaged({"spec": "2-9-2"}), "W1 has shape (10, 2), expected (9, 2)"),
    "another loss": (damaged({"loss": "mse"}), "its loss is not that of run.json"),
    "other classes": (damaged({"data.classes": ["no", "maybe"]}), "its classes is not that of"),
    "more classes": (damaged({"data.classes": ["a", "b", "c"]}), "not an output for each of 3"),
    "no type": (damaged({"settings.dtype": "float16"}), "settings.dtype"),
    "define is no list": (damaged({"settings.define": "x"}), "settings.define"),
    "other labels": (damaged({"settings.labels": "some"}), "settings.labels"),
    "other scaling": (damaged({"data.options.scale": "minmax"}), "its scaling is not that of"),
    "unknown option": (damaged({"data.options.more": 1}), '"data.options.more" is not known'),
    "short scaling": (
        lying(scaling={"kind": "standard", "shift": [0.0], "unit": [1.0]}),
        "its scaling is not that of 2 inputs",
    ),
    "cut weights": (cut, "damaged or cut short"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_run_is_refused(case: str, here: Path) -> None:
    damage, part = DAMAGED[case]
    damage(here / "runs" / "two")
    run_here("predict", "runs/two", "two.csv").assert_refused(2, part)
    assert not (here / "x").exists()


def test_inputs_far_outside(here: Path) -> None:
    (here / "far.csv").write_text("1,2\n3e38,3e38\n")
    outcome = run_here("predict", "runs/two", "far.csv")
    assert outcome.status in (0, 2)  # tanh takes any finite number
    assert "Traceback" not in outcome.err


# ------------------------------------------------------------------- other sets


@pytest.mark.usefixtures("here")
def test_a_named_set_and_one_output() -> None:
    options = ["2-1", "--loss", "binary-cross-entropy", "--epochs", "30"]
    outcome = run_here("train", "circles", *options, "--data-seed", "2")
    assert outcome.status == 0, outcome.err
    found = json.loads(run_here("evaluate", "runs/circles", "circles", "--format", "json").out)
    accuracy = re.match(r"test accuracy (\S+) %", outcome.out)
    assert accuracy is not None
    assert 100 * found["accuracy"] == pytest.approx(float(accuracy[1]), abs=0.005)
    rows = run_here("predict", "runs/circles", "circles").out.splitlines()
    assert rows[0] == "class,p(outer),p(inner)"
    name, outer, inner = rows[1].split(",")
    assert float(outer) + float(inner) == pytest.approx(1)
    assert name == ("inner" if float(inner) > 0.5 else "outer")


def test_a_label_is_no_command_to_the_terminal(here: Path) -> None:
    rows = [(n, n % 2, ("no", "\x1b[31mred")[n % 2]) for n in range(20)]
    write_csv(here / "red.csv", rows)
    outcome = run_here("train", "red.csv", "2-10-2", "--epochs", "1", "--no-plot")
    assert outcome.status == 0, outcome.err
    assert "\x1b" not in run_here("evaluate", "runs/red", "red.csv").out
    # but what programmes read is the label as it is
    assert "\x1b[31mred" in run_here("predict", "runs/red", "red.csv").out


def test_notes_on_options_without_effect(here: Path) -> None:
    write_set(here / "two.mat")
    options = ["--epochs", "1", "--no-plot", "--test-fraction", "0.3", "--data-dir", "x"]
    outcome = run_here("train", "two.mat", "2-10-2", *options)
    assert "note: --test-fraction has no effect on two" in outcome.err
    assert "note: --data-dir has no effect on two" in outcome.err
    outcome = run_here("train", "circles", "--epochs", "1", "--no-plot", "--label", "x")
    assert "note: --label has no effect on circles" in outcome.err


def test_fashion_mnist_has_the_layout_of_mnist(tmp_path: Path) -> None:
    write_small_mnist(tmp_path / "mnist", train=30)
    with pytest.raises(InputError, match="or in the subfolder fashion-mnist"):
        load_images(FASHION_MNIST, data_dir=tmp_path)
    write_small_mnist(tmp_path / "fashion-mnist", train=50)
    data = load_images(FASHION_MNIST, data_dir=tmp_path)
    assert data.name == "fashion-mnist"
    assert data.classes[9] == "Ankle boot"
    assert len(data.X_train) == 50


def test_digits_are_not_taken_for_clothes(tmp_path: Path) -> None:
    (tmp_path / "fashion-mnist").symlink_to(real_data("mnist"))
    with pytest.raises(InputError, match="these are the files of mnist, not of fashion-mnist"):
        load_images(FASHION_MNIST, data_dir=tmp_path)


# ------------------------------------------------------------------- from Python


def test_arrays_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
    result = runtime.train((POINTS, KIND), "2-10-2", epochs=20, scale="standard", data_seed=3)
    assert result.data.classes == ("no", "yes")
    assert (len(result.data.X_train), len(result.data.X_test)) == (96, 24)
    P = result.predict(POINTS)
    assert P.shape == (120, 2)
    assert (P.argmax(axis=1) == (KIND == "yes")).mean() > 0.7
    scaled = np.concatenate([result.data.X_train, result.data.X_test])
    same = np.sort(P, axis=0), np.sort(result.model.predict(scaled), axis=0)
    np.testing.assert_allclose(*same, atol=1e-6)
    named = {"X": POINTS[:90], "y": KIND[:90], "X_test": POINTS[90:], "y_test": KIND[90:]}
    result = runtime.train(named, "2-10-2", epochs=1)
    assert len(result.data.X_test) == 30
    lists = runtime.train((POINTS.tolist(), KIND.tolist()), "2-10-2", epochs=1)
    assert lists.data.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (3, "expected the name of a set, a path, a Dataset, or arrays"),
        ((POINTS,), "expected the name of a set"),
        ({"X": POINTS}, "expected the name of a set"),
        ((POINTS, KIND[:-1]), "119 labels for the 120 rows"),
        (([[1, 2], [3]], [0, 1]), "X is no array"),
        ((3.0, [0, 1]), "X is float, expected an array"),
        ((POINTS, [object()] * 120), "y holds object"),
        ((KIND, KIND), "X: holds <U3, expected real numbers"),
        ((POINTS * np.nan, KIND), "X, row 0, column 0 (counted from 0): nan"),
    ],
)
def test_arrays_that_are_refused(data: Any, part: str) -> None:
    with pytest.raises(InputError) as refusal:
        runtime.train(data, "2-10-2", epochs=1)
    assert part in str(refusal.value)
