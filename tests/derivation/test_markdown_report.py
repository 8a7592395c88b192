"""Markdown: headings, tables and formulas that the usual hosts show."""

import re
from functools import cache

import pytest
from matplotlib.mathtext import MathTextParser

import derive
from derive.markdown_report import MARKDOWN
from derive.printing import LATEX

MATHOP = r"\mathop"  # which Matplotlib's parser does not know
SPECS = ["2-10-2", "n_in-nh:relu-4:sigmoid-3:softmax-ny"]


def report(spec: str, **options) -> str:
    names = options.pop("names", "plain")
    given = derive.derivation(spec, names=names)
    return given.report("markdown", **({"steps": True, "expand": True} | options))


def blocks(text: str) -> list[str]:
    return re.findall(r"^\$\$\n(.*?)\n\$\$$", text, flags=re.DOTALL | re.MULTILINE)


@cache
def parse(formula: str) -> None:
    """Read a formula; raise an error where it cannot be read. Many stand in several reports."""
    MathTextParser("path").parse(f"${formula.replace(MATHOP, '')}$")


@pytest.mark.sweep
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("form", ["matrix", "index"])
@pytest.mark.parametrize("names", ["plain", "lab"])
def test_every_formula_can_be_read(spec: str, form: str, names: str) -> None:
    text = report(spec, form=form, names=names)
    for block in blocks(text):
        begin, *rows, end = block.splitlines()
        assert (begin, end) == ("\\begin{aligned}", "\\end{aligned}")
        for row in rows:
            for cell in filter(
                None, map(str.strip, row.removesuffix("[4pt]").removesuffix(" \\\\").split("&"))
            ):
                parse(cell)
    outside = re.sub(r"^\$\$\n.*?\n\$\$$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert outside.count("$") % 2 == 0
    for formula in re.findall(r"\$([^$]+)\$", outside):
        parse(formula)


def test_blocks_stand_alone() -> None:
    """A host takes ``$$`` for a formula where it stands on a line of its own between blank ones."""
    lines = report("2-10-2").splitlines()
    fences = [n for n, line in enumerate(lines) if "$$" in line]
    assert len(fences) % 2 == 0
    for begin, end in zip(fences[::2], fences[1::2], strict=True):
        assert lines[begin] == lines[end] == "$$"
        assert lines[begin - 1] == lines[end + 1] == ""
        assert "" not in lines[begin:end]  # a blank line would end the paragraph


def test_headings_and_table() -> None:
    text = report("2-10-2")
    assert re.findall(r"^(#+ .*)$", text, flags=re.MULTILINE)[:4] == [
        "# Network 2-10-2, cross-entropy loss, mean over a batch of $B$ samples",
        "## Given",
        "## Forward",
        "## Backward",
    ]
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table[:3] == ["| Name | Shape |", "|---|---|", r"| $X$ | $(B \times 2)$ |"]
    assert all(line.count("|") == 3 for line in table)


def test_what_a_host_refuses_is_not_used() -> None:
    text = report("2-4:relu-2")
    assert "operatorname" not in text
    assert r"\mathop{\mathrm{where}}" in text
    assert r"\operatorname{where}" in LATEX.call("where", "cab").text
    assert MARKDOWN.call("tanh", ["x"]) == LATEX.call("tanh", ["x"])


def test_words_are_not_taken_for_markup_or_names() -> None:
    given = derive.derivation("2-10-2", names="lab")
    network = derive.NetworkSpec(sizes=(2, "n_*a*_<b>"), activations=("softmax",))
    text = type(given)(spec=network, program=given.program).report("markdown")
    assert r"n\_\*a\*\_\<b\>" in text
    assert "entry by entry" in text
