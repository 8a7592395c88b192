"""The lab in examples/lab: its parts run and learn, and its notebook says what is so.

Part 4 is tested in ``test_learning.py``, which has the kernels for MNIST at hand.
"""

import os
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from data_folder import write_small_mnist
from matplotlib import pyplot as plt

LAB = Path(__file__).resolve().parents[2] / "examples" / "lab"


@pytest.fixture
def run_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Return a way to run a script of the lab with options, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(LAB))
    mpl.use("Agg")

    def run(script: str, *options: str) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", [script, *options])
        return runpy.run_path(str(LAB / script))

    yield run
    plt.close("all")


def test_part_1_is_trained_by_the_generated_functions(
    run_part: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_part("part1_manual.py", "--epochs", "20", "--every", "19", "--folder", "pictures")
    assert capsys.readouterr().out.count("Iter ") == 20
    losses = [float(loss) for loss in done["curves"][2]]
    assert losses[-1] < 0.99 * losses[0]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "curves.png", "data.png", "epoch-000.png", "epoch-019.png", "lab_2_10_2.py",
    ]  # fmt: skip
    assert "def backward(params, outputs, Y):" in (tmp_path / "pictures/lab_2_10_2.py").read_text()


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [("float64", 1e-14), pytest.param("float32", 5e-6, marks=pytest.mark.long)],
)
def test_part_2_gives_autograds_numbers(
    dtype: str, bound: float, run_part: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_part("part2_autograd.py", "--epochs", "11", "--dtype", dtype)
    assert 0 < done["worst"] < bound
    assert done["apart"](done["derived"], done["auto"]) < bound
    # both have moved: nothing is compared with itself
    start = {name: done["torch"].tensor(value) for name, value in done["start"].items()}
    assert done["apart"](start, done["derived"]) > 1e-2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["10", "11"]
    assert lines[-2].startswith("largest difference between the trained weights: ")
    assert done["data"].Xtrain.dtype == getattr(done["torch"], dtype)


def test_part_3_derives_and_trains_three_layers(
    run_part: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_part("part3_three_layers.py", "--epochs", "30", "--every", "30")
    printed = capsys.readouterr().out
    assert "dh1 = dhtilde2 Wh2" in printed
    assert sorted(done["params"]) == ["Wh1", "Wh2", "Wy", "bh1", "bh2", "by"]
    assert done["curves"][2][-1] < 0.99 * done["curves"][2][0]


def test_part_3_goes_on_to_any_depth(run_part: Any, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_part("part3_n_layers.py", "--epochs", "1")
    printed = capsys.readouterr().out
    assert "dH_ℓ = dZ_{ℓ+1} W_{ℓ+1}" in printed
    assert [row[0] for row in done["table"]] == [1, 2, 3, 4, 5]
    for n, _, means in done["table"]:
        assert len(means) == n + 1
        assert min(means) > 0


# ------------------------------------------------------------------ the notebook


def needed(name: str) -> Any:
    """Return a module of the extra `test`; without it skip, but never in CI."""
    if os.environ.get("CI") == "true":
        return __import__(name)
    return pytest.importorskip(name)


def test_the_notebook_is_its_text_and_holds_no_outputs() -> None:
    jupytext = needed("jupytext")
    text, notebook = (jupytext.read(LAB / name) for name in ("lab.py", "lab.ipynb"))
    cells = [[(c.cell_type, c.source) for c in n.cells] for n in (text, notebook)]
    assert cells[0] == cells[1], "edit lab.py, and make notebook"
    assert len(cells[0]) > 30
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's about itself
def test_the_notebook_runs_and_says_what_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient, nbformat = needed("nbclient"), needed("nbformat")
    needed("ipykernel")
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setenv("GRADWRIGHT_DATA", str(write_small_mnist(tmp_path / "data", train=200)))
    notebook = nbformat.read(LAB / "lab.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )
    errors = [float(x) for x in re.findall(r"difference from autograd (\S+)", printed)]
    assert len(errors) == 4
    assert max(errors) < 1e-12
    starts = re.findall(r"^(?:all|0.3) .*? (0\.\d+) +(\S+) % +(\S+)$", printed, re.MULTILINE)
    losses, accuracies, spreads = np.array(starts, dtype=float).T
    assert losses.shape == (3,)
    assert abs(losses[:2] - np.log(2)).max() < 1e-3  # equal starts learn nothing
    assert losses[2] < 0.4
    assert accuracies[2] > 85
    assert spreads[:2].max() < 1e-5 < 0.1 < spreads[2]
    assert float(re.search(r"largest difference: (\S+)", printed)[1]) < 1e-15
    assert "without no_grad(): a leaf Variable" in printed
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 6  # the training loop's replace each other
