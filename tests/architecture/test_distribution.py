"""What is published: a source distribution and a wheel, and what both say of themselves."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from trove_classifiers import classifiers, deprecated_classifiers

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("derive", "codegen", "runtime")


def build(source: Path, out: Path, *kinds: str) -> None:
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", *kinds, "--outdir"]
    done = subprocess.run([*command, out, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], dict[str, bytes]]:
    """Return the names in the source distribution, and the content of the wheel made from it."""
    out = tmp_path_factory.mktemp("published")
    build(ROOT, out)  # the source distribution, and from that the wheel
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    return names, content(next(out.glob("*.whl")))


def described(wheel: dict[str, bytes]) -> bytes:
    return next(data for name, data in wheel.items() if name.endswith(".dist-info/METADATA"))


def test_the_wheel_is_the_same_from_the_tree(
    published: tuple[set[str], dict[str, bytes]], tmp_path: Path
) -> None:
    build(ROOT, tmp_path, "--wheel")
    assert content(next(tmp_path.glob("*.whl"))) == published[1]


def test_the_wheel_holds_every_file_of_the_packages(
    published: tuple[set[str], dict[str, bytes]],
) -> None:
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(files)
    assert {"codegen/elementary/errors.json", "codegen/templates/training.txt"} <= set(files)
    wheel = published[1]
    about = {name for name in wheel if ".dist-info/" in name}
    assert {name: data for name, data in wheel.items() if name not in about} == files
    licence = [name for name in about if name.endswith(".dist-info/licenses/LICENSE")]
    assert [wheel[name] for name in licence] == [(ROOT / "LICENSE").read_bytes()]
    commands = [wheel[name] for name in about if name.endswith("entry_points.txt")]
    assert commands == [b"[console_scripts]\ngradwright = runtime.start:main\n"]


def test_the_source_holds_what_a_packager_runs(
    published: tuple[set[str], dict[str, bytes]],
) -> None:
    needed = {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "Makefile", ".ci/run"}
    needed |= {".github/workflows/ci.yml", "tests/conftest.py", "examples/embedded/board.c"}
    assert needed <= published[0]
    assert not [name for name in published[0] if "__pycache__" in name]


def test_the_metadata_are_valid(published: tuple[set[str], dict[str, bytes]]) -> None:
    raw = described(published[1])
    found = Metadata.from_email(raw, validate=True)  # each field by its specification
    assert (found.license_expression, found.license_files) == ("MIT", ["LICENSE"])  # PEP 639
    assert found.description_content_type == "text/markdown"
    assert found.description == (ROOT / "README.md").read_text("utf-8")
    assert found.classifiers
    assert set(found.classifiers) <= classifiers - set(deprecated_classifiers)
    assert not [name for name in found.classifiers if name.startswith("License ::")]
    lowest = min(name.rpartition(".")[2] for name in found.classifiers if ":: 3." in name)
    assert str(found.requires_python) == f">=3.{lowest}"


def test_every_dependency_has_a_lower_bound(
    published: tuple[set[str], dict[str, bytes]],
) -> None:
    found = Metadata.from_email(described(published[1]), validate=True)
    assert found.requires_dist
    loose = [
        requirement.name
        for requirement in found.requires_dist
        if not {"==", ">="} & {part.operator for part in requirement.specifier}
    ]
    assert loose == []


def test_a_wrong_description_is_seen() -> None:
    message = message_from_bytes(b"Metadata-Version: 2.4\nName: gradwright\nVersion: 1\n\n")
    message["License-Expression"] = "MIT-ish"
    with pytest.raises(ExceptionGroup, match="invalid"):
        Metadata.from_email(message.as_bytes(), validate=True)
