"""Sources kept on disk: found again without SymPy, never mistaken, never believed if damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import codegen
from codegen import cache, kept
from codegen.generation import generate
from derive.definitions import ACTIVATIONS
from derive.spec import ACTIVATION_NAMES, parse_spec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))
    return tmp_path / "sources"


def forbid_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was generated anew")

    monkeypatch.setattr("codegen.generation.generate", fail)


def test_the_names_that_need_no_sympy_are_those_of_the_definitions() -> None:
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES


def test_the_second_time_the_same_text_comes_from_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_spec("2-3-2", l2=0.5)
    first = codegen.generate_or_recall(spec, dtype="float64", optimizer="adam")
    assert first.text == generate(spec, dtype="float64", optimizer="adam").text
    assert len(list(folder.iterdir())) == 1
    forbid_generation(monkeypatch)
    again = codegen.generate_or_recall(spec, dtype="float64", optimizer="adam")
    assert (again.text, again.spec, again.dtype) == (first.text, spec, "float64")


@pytest.mark.parametrize(
    ("text", "objective", "options"),
    [
        ("2-4-2", {}, {}),
        ("2-3:relu-2", {}, {}),
        ("2-3-2", {"loss": "mse"}, {}),
        ("2-3-2", {"l2": 0.5}, {}),
        ("2-3:own-2", {"define": ["own(z) = z*tanh(z)"]}, {}),
        ("2-3:own-2", {"define": ["own(z) = z*sin(z)"]}, {}),
        ("2-3-2", {}, {"dtype": "float64"}),
        ("2-3-2", {}, {"labels": "any"}),
        ("2-3-2", {}, {"optimizer": "momentum"}),
        ("2-3-2", {}, {"clip_norm": True}),
        ("2-3-2", {}, {"schedule": "cosine"}),
    ],
)
def test_every_part_of_the_question_counts(
    text: str,
    objective: dict[str, object],
    options: dict[str, object],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache.keep_text("other", "")
    monkeypatch.setattr("codegen.generation.generate", lambda spec, **_: _Text(f"of {spec}"))
    codegen.generate_or_recall(parse_spec("2-3-2"))
    codegen.generate_or_recall(parse_spec("2-3:own-2", define=["own(z) = z"]))
    before = len(list(folder.iterdir()))
    codegen.generate_or_recall(parse_spec(text, **objective), **options)  # type: ignore[arg-type]
    assert len(list(folder.iterdir())) == before + 1


class _Text:
    def __init__(self, text: str) -> None:
        self.text = text


def test_another_version_of_our_own_files_generates_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codegen.generate_or_recall(parse_spec("2-2"))
    monkeypatch.setattr(kept, "_generator", lambda: "another")
    codegen.generate_or_recall(parse_spec("2-2"))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"import os\n", None])
def test_a_damaged_source_is_generated_anew(folder: Path, damage: bytes | None) -> None:
    whole = codegen.generate_or_recall(parse_spec("2-2")).text
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-20] if damage is None else damage)
    assert codegen.generate_or_recall(parse_spec("2-2")).text == whole
    assert path.read_bytes() == content


def test_a_source_under_the_name_of_another_is_not_believed(folder: Path) -> None:
    codegen.generate_or_recall(parse_spec("2-2"))
    (other,) = folder.iterdir()
    whole = codegen.generate_or_recall(parse_spec("2-3")).text
    (path,) = set(folder.iterdir()) - {other}
    path.write_bytes(other.read_bytes())
    assert codegen.generate_or_recall(parse_spec("2-3")).text == whole


def test_what_is_no_file_of_the_folder_is_never_read(folder: Path, tmp_path: Path) -> None:
    whole = codegen.generate_or_recall(parse_spec("2-2")).text
    (path,) = folder.iterdir()
    away = path.rename(tmp_path / "elsewhere")  # its hash is right
    path.symlink_to(away)
    assert cache.kept_text(path.name) is None
    assert not path.is_symlink()
    os.mkfifo(path)  # to read it would wait for a writer for ever
    assert codegen.generate_or_recall(parse_spec("2-2")).text == whole
    assert path.is_file()


def test_a_folder_that_others_could_write_to_is_emptied(folder: Path) -> None:
    codegen.generate_or_recall(parse_spec("2-2"))
    (path,) = folder.iterdir()
    folder.chmod(0o777)
    assert cache.kept_text(path.name) is None
    assert not list(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_clearing_the_cache_deletes_them(folder: Path) -> None:
    codegen.generate_or_recall(parse_spec("2-2"))
    cache.clear()
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("in the way")
    assert codegen.generate_or_recall(parse_spec("2-2")).text


def test_a_warm_start_loads_neither_sympy_nor_matplotlib(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from runtime.cli import main\n"
        "try:\n"
        f"    main(['train', 'circles', '--no-plot', '--epochs', '1', '--out', {str(tmp_path)!r},"
        " '--overwrite'])\n"
        "except SystemExit as end:\n"
        "    print(end.code, *{'sympy', 'matplotlib', 'requests'} & set(sys.modules))\n"
    )
    ran = [
        subprocess.run(
            [sys.executable, "-P", "-c", script], check=False, capture_output=True, text=True
        )
        for _ in range(2)
    ]
    assert [run.stdout.splitlines()[-1].split()[0] for run in ran] == ["0", "0"], ran[-1].stderr
    assert ran[1].stdout.splitlines()[-1].split() == ["0"]
