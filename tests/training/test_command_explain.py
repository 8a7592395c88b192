from pathlib import Path

from click.testing import CliRunner, Result

from runtime.commands.explain import command
from runtime.errors import InputError


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_worksheet_is_printed_or_the_solution() -> None:
    result = invoke("2-2", "--level", "1")
    assert result.exception is None, result.output
    assert result.stdout.startswith("Worksheet: network 2-2, cross-entropy loss")
    solved = invoke("2-2", "--level", "1", "--solution").stdout
    assert solved.startswith("Solution: network 2-2")
    assert "dW1 = dZ1ᵀ ⟨" in solved


def test_both_sheets_are_written_in_the_format_of_the_name(tmp_path: Path) -> None:
    options = ("2-2", "--no-example", "--names", "lab")
    for suffix, start in {".html": "<!DOCTYPE", ".md": "# ", ".tex": r"\documentclass"}.items():
        sheet = tmp_path / f"sheet{suffix}"
        result = invoke(*options, "-o", str(sheet))
        assert result.exception is None, result.output
        assert result.stdout == ""
        solution = tmp_path / f"sheet-solution{suffix}"
        assert str(solution) in result.stderr
        assert sheet.read_text("utf-8").startswith(start)
        assert "Solution" in solution.read_text("utf-8")
    assert len(list(tmp_path.iterdir())) == 6


def test_one_sheet_is_written_if_it_is_asked_for_and_none_beside_a_device(tmp_path: Path) -> None:
    only = tmp_path / "only.txt"
    assert invoke("2-2", "--no-example", "--solution", "-o", str(only)).exception is None
    assert only.read_text("utf-8").startswith("Solution")
    assert [path.name for path in tmp_path.iterdir()] == ["only.txt"]
    assert invoke("2-2", "--no-example", "-o", "/dev/null").exception is None
    assert not Path("/dev/null-solution").exists()


def test_what_cannot_be_is_refused_and_nothing_written(tmp_path: Path) -> None:
    for arguments in (
        ("N", "--names", "lab"),
        ("2-2", "-o", str(tmp_path / "no" / "sheet.md")),
        ("2-x",),
    ):
        result = invoke(*arguments)
        assert isinstance(result.exception, InputError)
        assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
