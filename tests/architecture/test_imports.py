"""The shape of the house: which package may import which, and what must stay unloaded."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("derive", "codegen", "runtime")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_hides_what_its_package_offers(package: str) -> None:
    # importing codegen/lower.py would put the module in the place of the function
    offered = set(importlib.import_module(package).__all__)
    assert offered
    assert not offered & {path.stem for path in (ROOT / package).iterdir()}


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) > 30


def test_packages_import_in_one_direction() -> None:
    wrong = {}
    for path in FILES:
        package = path.relative_to(ROOT).parts[0]
        later = PACKAGES[PACKAGES.index(package) + 1 :]
        wrong[name_of(path)] = {name.split(".")[0] for name in imported(path)} & set(later)
    assert {name: found for name, found in wrong.items() if found} == {}


# Past these two doors, kernels know nothing of SymPy; generation only passes programmes on.
DOORS = {"codegen/lowering.py", "codegen/scalar.py"}


def test_sympy_stays_behind_the_door() -> None:
    kernels = [path for path in FILES if name_of(path).startswith("codegen")]
    using = {name_of(p) for p in kernels if any(n.split(".")[0] == "sympy" for n in imported(p))}
    assert using <= DOORS


HEAVY = ("sympy", "numba", "matplotlib", "torch", "onnx", "scipy", "numpy", "tqdm", "requests")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["export", "--help"],
        ["import", "--help"],
        ["grade", "--help"],
        ["sweep", "--help"],
        ["cache", "where"],
    ],
)
def test_the_command_line_loads_only_what_it_needs(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from runtime.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_distribution_holds_the_three_packages_and_nothing_else() -> None:
    files = metadata.files("gradwright")
    assert files is not None
    tops = {file.parts[0] for file in files if ".." not in file.parts}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    commands = [file.name for file in files if ".." in file.parts]
    assert commands == ["gradwright"]


def test_templates_and_types_are_in_the_distribution() -> None:
    files = {str(file) for file in metadata.files("gradwright") or []}
    assert {f"{package}/py.typed" for package in PACKAGES} <= files
    templates = {name_of(path) for path in (ROOT / "codegen" / "templates").iterdir()}
    assert templates
    assert templates <= files


def test_the_tests_test_the_installed_package() -> None:
    import derive

    assert ROOT not in Path(derive.__file__).parents or "site-packages" in derive.__file__
