"""``gradwright train`` as a user meets it: what it leaves, what it says, how it refuses."""

import re
import shutil
import socket
from pathlib import Path
from typing import Any

import mounts
import numpy as np
import pytest
from command_line import (
    content_of,
    environment,
    run,
    run_here,
    running,
)
from data_folder import MNIST_NAMES, idx_bytes, packed, write_small_mnist
from run_results import FILES, LAST_LINE, record_in, rows_in, with_entry, write_set

import codegen
from runtime.data.catalogue import Choice
from runtime.data.circles import circles
from runtime.model_file import load_model


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------- what a run leaves


def test_the_first_run_of_a_new_user(tmp_path: Path) -> None:
    outcome = run("train", "circles", cwd=tmp_path)
    assert outcome.status == 0
    assert LAST_LINE.fullmatch(outcome.out)
    assert outcome.out.endswith(f"  {150} epochs in {outcome.out.split()[-2]} s\n")
    folder = tmp_path / "runs" / "circles"
    assert set(content_of(tmp_path)) == {"runs", "runs/circles"} | {
        f"runs/circles/{name}" for name in FILES
    }
    lines = [line for line in outcome.err.splitlines() if not line.startswith("compiling")]
    assert lines == [
        "circles: 200 training and 200 test samples, 2 inputs, 2 classes",
        "2-10-2: 52 parameters, cross-entropy, float32",
        "training: 150 epochs in batches of 10, eta 0.03, seed 0",
        lines[3],
        f"results are in runs/circles: {', '.join(sorted(FILES))}",
    ]
    assert lines[3].startswith("epoch 150 of 150: train loss 0.")
    assert outcome.err.isascii()
    assert rows_in(folder).last_line() + "\n" == outcome.out
    params, meta = load_model(folder / "model.safetensors")
    assert {name: value.shape for name, value in params.items()} == {
        "W1": (10, 2),
        "W2": (2, 10),
        "b1": (10,),
        "b2": (2,),
    }
    assert meta["spec"] == record_in(folder)["spec"] == "2-10-2"
    # the next run has the same settings: another folder, the same bytes
    second = run("train", "circles", cwd=tmp_path)
    assert second.status == 0
    assert "compiling" not in second.err
    assert "results are in runs/circles-2: " in second.err
    beside = tmp_path / "runs" / "circles-2"
    for name in FILES - {"checkpoint.safetensors", "history.csv", "run.json"}:  # which hold times
        assert (folder / name).read_bytes() == (beside / name).read_bytes(), name
    assert np.array_equal(rows_in(folder).figures, rows_in(beside).figures)
    records = [record_in(place) for place in (folder, beside)]
    assert records[0]["results"].pop("seconds") != records[1]["results"].pop("seconds")
    assert records[0] == records[1]


def test_the_written_module_is_the_one_that_trained(here: Path) -> None:
    assert run_here("train", "circles", "--no-plot", "--epochs", "7").status == 0
    folder = here / "runs" / "circles"
    assert set(content_of(folder)) == FILES - {"curves.png", "decision.png"}
    source = codegen.generate("2-10-2")
    assert (folder / "kernels.py").read_text("utf-8") == source.text
    params, _ = load_model(folder / "model.safetensors")
    data = circles().astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADWRIGHT_CACHE", environment()["GRADWRIGHT_CACHE"])
        loss = codegen.compile_module(source).loss(params, data.X_test, data.Y_test)
    assert loss == pytest.approx(record_in(folder)["results"]["test_loss"], rel=1e-5)


def test_settings_reach_the_run(here: Path) -> None:
    options = ["--epochs", "3", "--batch", "7", "--eta", "0.1", "--init-scale", "0.2"]
    options += ["--seed", "4", "--data-seed", "9", "--threads", "2", "--no-plot"]
    assert run_here("train", "circles", *options, "--out", "deep/er").status == 0
    record = record_in(here / "deep" / "er")
    assert record["seeds"] == {"seed": 4, "data_seed": 9}
    assert record["settings"] == {
        "epochs": 3,
        "batch": 7,
        "eta": 0.1,
        "init_scale": 0.2,
        "dtype": "float32",
        "threads": 2,
        "labels": "one-hot",
        "define": [],
        "l2": 0.0,
        "sparse": "auto",
        "optimizer": "sgd",
        "schedule": "constant",
        "weight_decay": 0.0,
    }
    assert record["results"]["epochs"] == 3


def test_a_file_of_the_users(here: Path) -> None:
    write_set(here / "two.mat")
    outcome = run_here("train", "two.mat", "2-10-2", "--epochs", "2", "--data-seed", "3")
    assert outcome.status == 0
    assert "note: --data-seed has no effect on two" in outcome.err
    record = record_in(here / "runs" / "two")
    assert record["data"]["name"] == "two"
    assert set(record["data"]["sha256"]) == {"two.mat"}
    assert record["data"]["classes"] == [0, 1]
    assert (here / "runs" / "two" / "decision.png").exists()


@pytest.mark.usefixtures("here")
def test_check_compares_first() -> None:
    pytest.importorskip("torch")
    outcome = run_here("train", "circles", "--check", "--no-plot", "--epochs", "1")
    assert outcome.status == 0
    assert "comparing the kernels with PyTorch autograd ...\nthey agree\n" in outcome.err


# ---------------------------------------------------------------- what is refused


REFUSED: list[tuple[list[str], list[str]]] = [
    (["circles", "2-10:tahn-2"], ["layers[1].activation", 'Did you mean "tanh"?', "^"]),
    (["circles", "2-0-2"], ["layer 1 is 0", "from 1 to"]),
    (["circles", "2--2"], ["layer 1 is missing"]),
    (["circles", ""], ["has no layer", "2-10-2"]),
    (["circles", "2"], ["has no layer"]),
    (["circles", "3-10-2"], ["3 inputs", "circles has 2 columns", "Expected 2-...-2."]),
    (["mnist", "784-10-2"], ["mnist has 784 columns and 10 classes"]),
    (["circles", "2-nh-2"], ["names", "Write every size as an integer"]),
    (["circles", "2-1"], ["nothing can be learnt"]),
    (["circles", "2-9999999-9999999-2"], ["not enough memory"]),
    (["circles", "--loss", "mes"], ['"mes" is not known', 'Did you mean "mse"?']),
    (["circels"], ["circels is not known", 'Did you mean "circles"?']),
    (["2-10-2"], ["gradwright train circles 2-10-2"]),
    (["missing.mat"], ["missing.mat: there is no such file. Check the path."]),
    (["./circles"], ["./circles is not known"]),
    (["circles", "--epochs", "0"], ["epochs: 0. Expected a whole number from 1"]),
    (["circles", "--epochs", "-1"], ["epochs: -1"]),
    (["circles", "--epochs", "abc"], ["'--epochs'", "abc"]),
    (["circles", "--epochs", "1e3"], ["'--epochs'", "1e3"]),
    (["circles", "--epochs", "9" * 30], ["epochs: 999", "from 1 to 1000000"]),
    (["circles", "--batch", "0"], ["batch: 0"]),
    (["circles", "--eta", "nan"], ["eta: nan. Expected a positive number"]),
    (["circles", "--eta", "inf"], ["eta: inf"]),
    (["circles", "--eta", "-1"], ["eta: -1"]),
    (["circles", "--eta", "0"], ["eta: 0"]),
    (["circles", "--eta", "1e39"], ["eta: 1e+39 is inf in float32"]),
    (["circles", "--init-scale", "-1"], ["init_scale: -1"]),
    (["circles", "--seed", "-1"], ["seed: -1"]),
    (["circles", "--data-seed", "-1"], ["data_seed: -1"]),
    (["circles", "--threads", "0"], ["threads: 0"]),
    (["circles", "--out", ""], ["--out"]),
    (["mnist", "--data-dir", "nowhere"], ["--data-dir nowhere: does not exist"]),
    (["mnist", "--data-dir", "."], ["no train-images-idx3-ubyte.gz", "Put the missing files"]),
    (["mnist", "--offline"], ["missing: train-images", "without --offline", "--data-dir FOLDER"]),
]


@pytest.mark.parametrize(
    ("arguments", "parts"), REFUSED, ids=[" ".join(a)[:40] for a, _ in REFUSED]
)
def test_refused_before_anything_is_made(
    here: Path, arguments: list[str], parts: list[str]
) -> None:
    run_here("train", *arguments).assert_refused(2, *parts)
    assert content_of(here) == {}


@pytest.mark.usefixtures("here")
def test_settings_are_refused_before_data_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Choice, "load")
    for arguments in (["784-10-2"], ["--eta", "0"], ["--momentum", "1"], ["--out", __file__]):
        assert run_here("train", "mnist", *arguments).status == 2


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"Xtrain": with_entry(np.nan, 7, 1)}, ["X_train holds nan at row 7, column 1"]),
        ({"Xtest": with_entry(np.inf, 0, 0)}, ["X_test holds inf at row 0, column 0"]),
        ({"Xtrain": with_entry(1e300, 3, 0)}, ["in float32", "row 3", "Use --dtype float64"]),
        ({"Ytrain": np.zeros((20, 2))}, ["Y_train row 0", "not one-hot"]),
        ({"Xtest": np.zeros((20, 3))}, ["X_test has 3"]),
        ({"Ytest": None}, ["Ytest"]),
    ],
)
def test_files_that_hold_something_else(
    here: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    write_set(here / "set.mat", **changes)
    run_here("train", "set.mat").assert_refused(2, "set", *parts)
    assert set(content_of(here)) == {"set.mat"}


def test_a_network_that_does_not_fit_the_file(here: Path) -> None:
    write_set(here / "set.mat")
    run_here("train", "set.mat", "3-5-2").assert_refused(2, "set has 2 columns and 2 classes")
    (here / "set.mat").write_bytes((here / "set.mat").read_bytes()[:200])
    run_here("train", "set.mat").assert_refused(2, "set.mat: damaged")
    (here / "set.mat").write_text("1,2,3\n")
    run_here("train", "set.mat").assert_refused(2, "set.mat")
    assert set(content_of(here)) == {"set.mat"}


def spoil(content: bytes, name: str) -> bytes:
    if name == "truncated":
        return content[: len(content) // 2]
    if name == "corrupt":  # the checksum inside gzip
        return content[:-8] + bytes(4) + content[-4:]
    if name == "web page":
        return b"<html>404</html>"
    return packed(idx_bytes(np.full(120, 200, np.uint8)))


@pytest.mark.parametrize(
    ("which", "how", "part"),
    [
        (0, "truncated", "truncated"),
        (0, "corrupt", "its compressed data are damaged"),
        (2, "web page", "looks like a web page"),
        (1, "labels out of range", "label 0 (counted from 0) is 200, expected 0 to 9"),
    ],
)
def test_damaged_mnist(here: Path, which: int, how: str, part: str) -> None:
    folder = write_small_mnist(here / "data")
    path = folder / f"{MNIST_NAMES[which]}.gz"
    path.write_bytes(spoil(path.read_bytes(), how))
    outcome = run_here("train", "mnist", "--data-dir", "data")
    outcome.assert_refused(2, path.name, part, "Put the right file there")
    assert not (here / "runs").exists()


def test_without_a_network(here: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
    outcome = run_here("train", "mnist", HOME=str(here / "home"), HTTPS_PROXY=proxy, NO_PROXY=None)
    outcome.assert_refused(
        2, "train-images-idx3-ubyte.gz could not be downloaded", "Check the network", "--data-dir"
    )
    assert not (here / "runs").exists()


# ---------------------------------------------------------------- where results go


@pytest.fixture
def old_run(here: Path) -> Path:
    """Return a folder that holds a run, with a file of the user's."""
    options = ["--epochs", "1", "--out", "old"]
    assert run_here("train", "circles", *options).status == 0
    (here / "old" / "notes.txt").write_text("mine")
    return here / "old"


@pytest.mark.usefixtures("old_run")
def test_what_is_there_is_kept(here: Path) -> None:
    before = content_of(here)
    holds = "holds a run already (run.json). Go on with it by --resume, replace it by --overwrite"
    run_here("train", "circles", "--out", "old").assert_refused(2, "old:", holds)
    for out in ("old/notes.txt", "old/notes.txt/below"):
        run_here("train", "circles", "--out", out).assert_refused(2, "notes.txt", "file")
    assert content_of(here) == before


def test_overwrite_replaces_the_run_and_nothing_else(here: Path, old_run: Path) -> None:
    before = content_of(old_run)
    options = ["--epochs", "2", "--out", "old", "--overwrite", "--no-plot"]
    assert run_here("train", "circles", *options).status == 0
    after = content_of(old_run)
    assert set(after) == FILES - {"curves.png", "decision.png"} | {"notes.txt"}
    assert after["notes.txt"] == before["notes.txt"]
    assert after["model.safetensors"] != before["model.safetensors"]
    assert set(content_of(here)) == {"old"} | {f"old/{name}" for name in after}


@pytest.mark.parametrize(
    "arguments",
    [["circles", "--eta", "1e9"], ["circles", "3-2"], ["nan.mat", "2-10-2"]],
    ids=["diverges", "does not fit", "NaN in the data"],
)
@pytest.mark.usefixtures("old_run")
def test_overwrite_that_fails_keeps_the_old_run(here: Path, arguments: list[str]) -> None:
    write_set(here / "nan.mat", Xtrain=with_entry(np.nan, 1, 1))
    before = content_of(here)
    outcome = run_here("train", *arguments, "--out", "old", "--overwrite")
    assert outcome.status == (1 if "1e9" in arguments else 2)
    assert outcome.out == ""
    assert content_of(here) == before


def test_divergence_leaves_nothing_and_says_so(here: Path) -> None:
    outcome = run_here("train", "circles", "--eta", "1e9")
    outcome.assert_refused(1, "training diverged", "after epoch 1", "--eta 0.03")
    assert "Nothing was saved.\n" in outcome.err
    assert content_of(here) == {}


@pytest.mark.usefixtures("old_run")
def test_divergence_says_that_the_old_run_is_still_there() -> None:
    outcome = run_here("train", "circles", "--eta", "1e9", "--out", "old", "--overwrite")
    outcome.assert_refused(1, "Nothing was saved. old still holds the run that was there.")


def test_read_only_folder(old_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = old_run.parent
    before = content_of(here)
    with mounts.read_only(here):
        monkeypatch.chdir(here)  # into the mount
        for options in ([], ["--out", "old", "--overwrite"], ["--out", "old/new/er"]):
            run_here("train", "circles", *options).assert_refused(
                2, "the file system is read-only", "Choose a folder that can be written to"
            )
    assert content_of(here) == before


def test_full_disk(here: Path) -> None:
    with mounts.full_disk(here / "disk", "32k") as disk:
        # room for the proof that it can be written to, but not for the pictures
        outcome = run_here("train", "circles", "--epochs", "1", "--out", "disk/run")
        outcome.assert_refused(1, "disk/run/", "the disk is full", "after epoch 1 is kept")
        assert (
            "go on with: gradwright train circles --out disk/run --resume\n" in outcome.err.lower()
        )
        assert set(content_of(disk)) == {"run", "run/checkpoint.safetensors"}
        assert (
            run_here("train", "circles", "--out", "disk/run", "--resume", "--no-plot").status == 1
        )
        shutil.rmtree(disk / "run")
        mounts.fill(disk)
        outcome = run_here("train", "circles", "--epochs", "1", "--out", "disk/run")
        outcome.assert_refused(1, "disk/run", "the disk is full")
        assert set(content_of(disk)) == {"ballast"}


def test_full_disk_keeps_the_old_run(here: Path) -> None:
    options = ["--epochs", "1", "--out", "disk/run"]
    with mounts.full_disk(here / "disk", "200k") as disk:
        assert run_here("train", "circles", *options, "--no-plot").status == 0
        (disk / "more").write_bytes(bytes(80_000))
        before = content_of(disk)
        outcome = run_here("train", "circles", *options, "--overwrite")
        outcome.assert_refused(1, "the disk is full", "run still holds the run that was there")
        after = content_of(disk)
        assert after.pop("run/checkpoint-new.safetensors")
        assert after == before


def test_two_runs_at_once(tmp_path: Path) -> None:
    options = ("train", "circles", "--no-plot", "--epochs", "20000")
    with running(*options, cwd=tmp_path) as first, running(*options, cwd=tmp_path) as second:
        outcomes = [first.finish(), second.finish()]
    assert [outcome.status for outcome in outcomes] == [0, 0]
    folders = [tmp_path / "runs" / name for name in ("circles", "circles-2")]
    assert sorted((tmp_path / "runs").iterdir()) == folders
    model = (folders[0] / "model.safetensors").read_bytes()
    assert (folders[1] / "model.safetensors").read_bytes() == model
    assert len({re.search("results are in (\\S+):", o.err)[1] for o in outcomes}) == 2  # type: ignore[index]
