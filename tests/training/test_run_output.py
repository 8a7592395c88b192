"""The files of a run: all of them in the folder, or none."""

import errno
import json
import shutil
from pathlib import Path

import mounts
import numpy as np
import pytest
from command_line import content_of, environment

import runtime
from runtime.errors import RunError
from runtime.model_file import load_model
from runtime.run_folder import open_run_folder
from runtime.run_output import open_folder_beside, run_files, save_files

OLD = {"model.safetensors": b"old", "decision.png": b"old", "run.json": b"old"}
NEW = {"model.safetensors": b"new", "curves.png": b"new", "run.json": b"new"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in OLD.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_bytes(b"mine")
    return folder


def test_a_new_folder(tmp_path: Path) -> None:
    with open_run_folder("x", tmp_path / "run") as folder:
        save_files(folder, NEW)
    assert content_of(tmp_path / "run") == dict(sorted(NEW.items()))


def test_the_old_run_gives_way_as_a_whole(old: Path) -> None:
    with open_run_folder("x", old, overwrite=True) as folder:
        save_files(folder, NEW)
    # an old decision.png beside the new network would lie; other files are not ours
    assert content_of(old) == dict(sorted({**NEW, "notes.txt": b"mine"}.items()))


def test_a_disk_that_fills_up_changes_nothing(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "run"
        path.mkdir()
        for name, content in OLD.items():
            (path / name).write_bytes(content)
        with open_run_folder("x", path, overwrite=True) as folder:
            with pytest.raises(RunError) as error:
                save_files(folder, {**NEW, "curves.png": bytes(100_000)})
            assert str(error.value).startswith(f"{path}/curves.png: cannot be written: the disk is")
            assert content_of(path) == dict(sorted(OLD.items()))
            # what did fit was given back
            save_files(folder, NEW)


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    with open_run_folder("x", tmp_path / "run") as folder:
        folder.path.rmdir()
        with pytest.raises(RunError, match="its folder does not exist"):
            save_files(folder, NEW)


def test_a_rename_that_fails_leaves_no_staging(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error", str(path), None, str(target))

    with open_run_folder("x", old, overwrite=True) as folder:
        before = content_of(old)
        with monkeypatch.context() as context:
            context.setattr(Path, "replace", refuse)
            with pytest.raises(RunError, match="Input/output error"):
                save_files(folder, NEW)
        assert content_of(old) == before


def test_the_record_is_renamed_last(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []
    replace = Path.replace

    def noting(path: Path, target: Path) -> Path:
        if target.parent == old:
            renamed.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noting)
    with open_run_folder("x", old, overwrite=True) as folder:
        save_files(folder, NEW)
    assert renamed == list(NEW)


def test_beside(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder_beside(old) as folder:
        assert folder.path == old.with_name("run-2")
        save_files(folder, NEW)
    shutil.copytree(old, old.with_name("run-3"))
    monkeypatch.chdir(old)
    for path in (Path(), old, Path("../run")):
        with open_folder_beside(path) as folder:
            assert folder.path.samefile(old.with_name("run-4"))


def test_what_a_run_says_about_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures everywhere, from a network whose settings are all unlike the defaults."""
    monkeypatch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
    result = runtime.train(
        "circles",
        "2-2:relu-2:identity",
        loss="mse",
        labels="any",
        epochs=3,
        batch=7,
        eta=0.01,
        init_scale=0.2,
        seed=5,
        data_seed=4,
        dtype="float64",
        threads=1,
    )
    files = run_files(result, data_seed=4, plot=False, stopped_by=None)
    assert list(files) == ["model.safetensors", "history.csv", "kernels.py", "run.json"]
    record = json.loads(files["run.json"])
    assert record["spec"] == "2-2:relu-2"
    assert record["loss"] == "mse"
    assert record["settings"] == {
        "epochs": 3,
        "batch": 7,
        "eta": 0.01,
        "init_scale": 0.2,
        "dtype": "float64",
        "threads": 1,
        "sparse": "auto",
        "optimizer": "sgd",
        "schedule": "constant",
        "weight_decay": 0.0,
        "labels": "any",
        "define": [],
        "l2": 0.0,
    }
    assert record["seeds"] == {"seed": 5, "data_seed": 4}
    assert record["data"]["classes"] == ["outer", "inner"]
    assert set(record["data"]["sha256"]) == {"X_train", "Y_train", "X_test", "Y_test"}
    assert {"gradwright", "numba", "numpy", "python", "sympy"} <= set(record["versions"])
    (tmp_path / "model.safetensors").write_bytes(files["model.safetensors"])
    params, meta = load_model(tmp_path / "model.safetensors", result.model.module.PARAMETERS)
    for name, value in result.model.params.items():
        assert np.array_equal(params[name], value)
    assert meta == {
        "spec": record["spec"],
        "loss": record["loss"],
        "classes": record["data"]["classes"],
        "epochs": 3,
        "data_seed": 4,
        "settings": {
            **{name: record["settings"][name] for name in record["settings"] if name != "threads"},
            "seed": 5,
        },
    }
    history = files["history.csv"].decode().splitlines()
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")
    assert history[-1].split(",") == ["3", *(repr(record["results"][name]) for name in names)]
    # and those figures are those of the weights
    data = result.data
    assert record["results"]["test_loss"] == pytest.approx(
        result.model.module.loss(params, data.X_test, data.Y_test), rel=1e-12
    )
    right = result.model.predict(data.X_test).argmax(1) == data.Y_test.argmax(1)
    assert record["results"]["test_accuracy"] == right.mean()
    assert "stopped_by" not in record["results"]
    stopped = json.loads(run_files(result, data_seed=4, plot=False, stopped_by=2)["run.json"])
    assert stopped["results"]["stopped_by"] == "SIGINT"
