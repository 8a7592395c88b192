"""What needs an extra says so in one line where it is missing: all of it asked in one process."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from command_line import environment

# the packages that the extras bring; none of them can be imported where the cases run
PACKAGES = [
    "torch",
    "jax",
    "sklearn",
    "onnx",
    "distributed",
    "mpi4py",
    "pyarrow",
    "zarr",
    "IPython",
]
COMMANDS = {
    "check 2-10-2": "torch",
    "train circles --check --epochs 1 --out checked": "torch",
    "bench circles --against torch": "torch",
    "bench circles --against torch-compile": "torch",
    "bench circles --against jax": "bench",
    "bench circles --against jax-step": "bench",
    "bench circles --against sklearn": "bench",
    "export run -o net.onnx": "onnx",
    "import net.onnx": "onnx",
    "sweep circles --scheduler tcp://127.0.0.1:1": "dask",
    "train big.parquet": "parquet",
    "train big.zarr": "zarr",
}
CALLS = {
    "runtime.check('2-10-2')": "torch",
    "runtime.as_torch_module('2-10-2')": "torch",
    "runtime.CirclesData(backend='torch')": "torch",
    "runtime.NetworkClassifier": "sklearn",
    "runtime.NetworkRegressor": "sklearn",
    "importlib.import_module('runtime.estimators')": "sklearn",
    "runtime.import_onnx('net.onnx')": "onnx",
    "runtime.export_onnx(runtime.PortableNetwork.of('run'), 'net.onnx')": "onnx",
    "runtime.sweep('circles', scheduler='tcp://127.0.0.1:1')": "dask",
    "runtime.notebook.load_ipython_extension(None)": "notebook",
    "runtime.notebook.LiveDecision()": "notebook",
    "launcher.join(launcher.Launch(rank=0, count=2))": "mpi",
}
NOTES = {
    "sweep circles --seeds 1 --epochs 1 --no-plot --out table": "parquet"
}  # it goes on without

ASKING = """
import contextlib, importlib, io, json, sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            return None  # as if it were not installed
        return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
import runtime, runtime.notebook
from runtime.ranks import launcher
from runtime.cli import main

said = {{}}
for command in ["train circles --epochs 1 --no-plot --out run", *{commands}]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(command.split())
        except SystemExit as end:
            said[command] = [end.code, out.getvalue(), err.getvalue()]
for text, call in {{{calls}}}.items():
    try:
        call()
    except Exception as error:
        said[text] = [type(error).__name__, "", str(error) + "\\n"]
    else:
        said[text] = ["nothing", "", ""]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, str, str]]:
    """Return what each case answers: status or error, standard output, message."""
    place: Path = tmp_path_factory.mktemp("bare")
    (place / "big.zarr").mkdir()
    for name in ("net.onnx", "big.parquet", "big.zarr/zarr.json"):
        (place / name).touch()
    asking = ASKING.format(
        packages=PACKAGES,
        commands=[*COMMANDS, *NOTES],
        calls=", ".join(f"{text!r}: lambda: {text}" for text in CALLS),
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", asking],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, tuple[object, str, str]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def assert_names(extra: str, message: str) -> None:
    assert message.count("\n") == 1, message
    found = re.search(r"pip install 'gradwright\[([a-z,]+)\]'", message)
    assert found, message
    assert extra in found[1].split(",")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_names_the_extra(command: str, said: dict[str, tuple[object, str, str]]) -> None:
    status, out, message = said[command]
    assert (status, out) == (2, "")
    assert_names(COMMANDS[command], message)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_names_the_extra(call: str, said: dict[str, tuple[object, str, str]]) -> None:
    error, _, message = said[call]
    assert error in ("InputError", "ModuleNotFoundError")
    assert_names(CALLS[call], message)


@pytest.mark.parametrize("command", NOTES)
def test_a_note_names_the_extra(command: str, said: dict[str, tuple[object, str, str]]) -> None:
    status, _, message = said[command]
    assert status == 0
    notes = [line for line in message.splitlines() if line.startswith("note:")]
    assert len(notes) == 1
    assert_names(NOTES[command], f"{notes[0]}\n")


def test_no_extra_is_left_out() -> None:
    extras = set(metadata.metadata("gradwright").get_all("Provides-Extra") or ())
    assert extras - {"test"} == {*COMMANDS.values(), *CALLS.values(), *NOTES.values()}
