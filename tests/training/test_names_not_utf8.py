"""Files whose names are no UTF-8, as an old disk or archive has them: Python reads each such
byte as a lone surrogate, which UTF-8 cannot hold."""

import csv
import json
import sys
from pathlib import Path

import pytest
from command_line import run_here
from needed import need
from student_files import STUDENTS

LATIN = "caf\udce9"  # é is the byte 0xE9 in Latin-1
TRAINED = ["--epochs", "2", "--quiet"]
ROWS = "".join(
    f"{number % 7},{number % 5},{'odd' if number % 2 else 'even'}\n" for number in range(80)
)

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="names there are UTF-8 always")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a table in a folder of that name; it is the working directory's."""
    monkeypatch.chdir(tmp_path)
    Path(LATIN).mkdir()
    path = Path(LATIN) / f"{LATIN}.csv"
    path.write_text(f"a,b,parity\n{ROWS}")
    return str(path)


def done(*arguments: str) -> str:
    outcome = run_here(*arguments)
    assert outcome.status == 0, outcome
    return outcome.out


def test_a_run_is_kept_and_its_data_found_again(data: str) -> None:
    done("train", data, "2-4-2", "--out", "run", *TRAINED)
    record = Path("run/run.json")
    assert json.loads(record.read_text(encoding="utf-8"))["data"]["options"]["source"] == data
    done("train", "--from", str(record), "--out", "again", *TRAINED)
    model = Path("again/model.safetensors").read_bytes()
    assert model == Path("run/model.safetensors").read_bytes()
    done("train", data, "2-4-2", "--out", "run", "--resume", "--epochs", "3", "--quiet")
    assert done("predict", "run", data).count("\n") == 81
    done("evaluate", "run", data)


def test_the_folder_of_a_run_by_default(data: str) -> None:
    done("train", data, "2-4-2", *TRAINED)
    assert (Path("runs") / LATIN / "run.json").is_file()


def test_a_sweep_is_kept_and_its_data_found_again(data: str) -> None:
    small = ["--hidden", "3", "--seeds", "2", "--epochs", "1", "--workers", "1", "--no-plot"]
    done("sweep", data, *small, "--out", "swept")
    done("sweep", "--out", "swept", "--resume", "--seeds", "3", "--workers", "1", "--no-plot")
    done("sweep", "--from", "swept/sweep.json", "--out", "again", "--workers", "1", "--no-plot")
    tables = [Path(folder, "summary.csv").read_text() for folder in ("swept", "again")]
    assert tables[0] == tables[1]
    assert ",0.03,3,0," in tables[0]  # three runs, none diverged


def test_a_network_there_and_back(data: str) -> None:
    need("onnx", "onnxruntime")
    done("train", data, "2-4-2", "--out", "run", *TRAINED)
    done("export", "run", "-o", f"{LATIN}/{LATIN}.onnx")
    done("import", f"{LATIN}/{LATIN}.onnx", "--out", f"{LATIN}/imported")
    told = [done("predict", folder, data) for folder in ("run", f"{LATIN}/imported")]
    assert told[0].count("\n") == told[1].count("\n") == 81


def test_a_class_in_a_table_and_in_json(tmp_path: Path) -> None:
    (tmp_path / f"{LATIN}.py").write_bytes((STUDENTS / "right" / "np_01.py").read_bytes())
    (tmp_path / f"{LATIN}2.py").write_text("x = 1\n")
    marks = tmp_path / "marks.csv"
    as_json, as_text = (
        run_here("grade", str(tmp_path), "--csv", str(marks), "--format", form)
        for form in ("json", "text")
    )
    assert list(json.loads(as_json.out)) == [f"{LATIN}.py", f"{LATIN}2.py"]
    assert as_text.out.startswith(r"'caf\udce9.py'   all right" + "\n")
    first, second = csv.DictReader(marks.read_text(encoding="utf-8").splitlines())
    assert (first["file"], second["file"]) == (r"'caf\udce9.py'", r"'caf\udce92.py'")
    assert r"caf\udce92.py': defines none" in second["message"]
