"""Golden files: texts that change only on purpose, in a commit of their own."""

import difflib
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"
FLAG = "--update-golden"
MOST_LINES = 120  # of a difference that are shown

# a hash of the whole text, versions included
_HASH = re.compile(r'(?<=^KERNELS = ")[0-9a-f]{16}(?=")', re.MULTILINE)
_VERSION = re.compile(r"(?<= )\d[\w.+]*(?=,|$)")


def without_versions(text: str) -> str:
    """Return a text with the versions in its ``Versions:`` line, and what hangs on them, open."""
    lines = _HASH.sub("…", text).split("\n")
    return "\n".join(
        _VERSION.sub("…", line) if line.removeprefix(" * ").startswith("Versions: ") else line
        for line in lines
    )


def compare_or_update(path: Path, text: str, *, update: bool) -> None:
    """Compare a text with the one that a file holds, or write it there.

    Raises
    ------
    AssertionError
        With the difference, and the flag that accepts it.
    """
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return
    accept = f"If that is meant: pytest {FLAG}, and a commit of its own that says why."
    if not path.is_file():
        raise AssertionError(f"there is no golden file {path.name}. {accept}")
    golden = path.read_text("utf-8")
    if golden == text:
        return
    lines = list(
        difflib.unified_diff(
            golden.split("\n"), text.split("\n"), f"golden/{path.name}", "generated", lineterm=""
        )
    )
    shown = lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        shown.append(f"… {len(lines) - MOST_LINES} more lines")
    raise AssertionError("\n".join([f"{path.name} has changed.", *shown, "", accept]))
