"""The page: well formed, self-contained, linked within itself, and shown by a real browser."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from random_statements import random_statement

import derive
from derive.html_report import program_html
from derive.mathml_notation import MathmlNotation, mathml
from derive.notation import FUNCTIONS
from derive.printing import MATHML, sides
from derive.program import base, index

SPECS = ["2-10-2", "n_in-nh:relu-4:sigmoid-3:softmax-ny"]
VOID = {"meta", "link", "br", "img", "input", "hr"}
MATHML_CORE = {
    *("math", "mfrac", "mi", "mn", "mo", "mover", "mrow", "mspace"),
    *("msqrt", "msub", "msubsup", "msup", "mtext", "munder"),
}


class Page(HTMLParser):
    """The elements of a page: what is open is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.elements if attribute in attrs]


def page(spec: str, **options) -> str:
    return derive.derivation(spec).report("html", **({"steps": True, "expand": True} | options))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("form", ["matrix", "index"])
@pytest.mark.parametrize("names", ["plain", "lab"])
def test_it_is_well_formed_and_every_link_has_its_end(spec: str, form: str, names: str) -> None:
    text = derive.derivation(spec, names=names).report("html", form=form, steps=True, expand=True)
    parsed = Page(text)
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    targets = parsed.values("href")
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)
    for formula in re.findall(r"<math.*?</math>", text):
        tree = ElementTree.fromstring(formula)
        assert {element.tag for element in tree.iter()} <= MATHML_CORE
        for element in tree.iter():
            wanted = {"msub": 2, "msup": 2, "mfrac": 2, "munder": 2, "mover": 2, "msubsup": 3}
            assert len(element) == wanted.get(element.tag, len(element)), formula


def test_nothing_comes_from_elsewhere() -> None:
    text = page("2-10-2")
    tags = {tag for tag, _ in Page(text).elements}
    assert not tags & {"script", "img", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import|src=", text)


def test_each_backward_line_links_to_its_forward_line_and_rule() -> None:
    for steps in (False, True):
        text = page("2-10-2", steps=steps)
        rows = re.findall(r'<tr id="(\w+)">(.*?)</tr>', text, flags=re.DOTALL)
        links = {name: re.findall(r'href="#([\w-]+)"', row) for name, row in rows}
        assert list(links) == [
            "Z1",
            "H1",
            "Z2",
            "P",
            "loss",
            "dZ2",
            "dW2",
            "db2",
            "dH1",
            "dZ1",
            "dW1",
            "db1",
        ]
        for name, reader in {"dW2": "Z2", "dH1": "Z2", "dZ1": "H1", "db1": "Z1"}.items():
            assert reader in links[name]
        assert {"P", "loss"} <= set(links["dZ2"])
        rules = [link for link in links["dZ1"] if link.startswith(("rule-", "step-"))]
        assert rules == (["step-26", "step-29"] if steps else ["rule-chain-rule", "rule-reuse"])
    number = dict(re.findall(r'<li id="step-(\d+)">.*?<b><a[^>]*>([^<]*)', text))
    assert (number["26"], number["29"]) == ("chain rule", "reuse")


def test_every_rule_that_is_named_is_explained() -> None:
    text = page("2-3:softmax-4:relu-2:sigmoid")
    explained = set(re.findall(r'<dt id="rule-[\w-]+">([^<]+)</dt>', text))
    told = {step.rule for step in derive.derivation("2-3:softmax-4:relu-2:sigmoid").program.steps}
    assert told | {"definition", "matrix form"} <= explained


def test_words_are_not_taken_for_names() -> None:
    """The lab calls a bias by, which is a word."""
    text = derive.derivation("2-10-2", names="lab").report("html", steps=True)
    assert "entry by entry" in text
    assert "derivative of an entry in another" in text


def test_what_comes_from_outside_is_escaped() -> None:
    hostile = "<script>&\"'"
    assert "<script>" not in MATHML.name(hostile)
    assert "<script>" not in MATHML.call(hostile, ["<mi>x</mi>"]).text
    assert "&lt;" in MATHML.relation("<")
    given = derive.derivation("2-10-2")
    network = derive.NetworkSpec(sizes=(2, hostile), activations=("softmax",))
    text = type(given)(spec=network, program=given.program).report("html")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_random_statements_are_well_formed_in_both_forms() -> None:
    for seed in range(150):
        statement = random_statement(seed)
        for form in ("matrix", "index"):
            for side in sides(statement, MATHML, form):
                ElementTree.fromstring(mathml(side))


def test_brackets_stand_where_they_do_in_text() -> None:
    """The signs that a reader sees are those of the text, but for products and fractions."""

    def signs(text: str) -> str:
        return re.sub(r"[^()∘⊘⊤ᵀ+−]", "", text).replace("ᵀ", "⊤")

    for line in derive.derivation("2-10-2").program.statements:
        shown = "".join(ElementTree.fromstring(mathml(sides(line, MATHML, "matrix")[1])).itertext())
        written = sides(line, derive.printing.TEXT, "matrix")[1]
        assert signs(shown) == signs(written if line.name != "dZ2" else "P − Y")


def test_every_function_has_a_form() -> None:
    x, y = base("v")[index("j")], base("u")[index("j")]
    for function, name in FUNCTIONS.items():
        arguments = (x, y) if name in ("max", "min") else (x,)
        expression = function(*arguments)
        piece = derive.index_form.index_form(expression, (index("j"),), MATHML)
        ElementTree.fromstring(mathml(MATHML.signed(piece)))


def test_superscripts_stand_above_subscripts() -> None:
    notation = MathmlNotation()
    name = derive.notation.Piece(notation.name("dZ1"))
    assert notation.transpose(name).text == (
        '<mrow><mi mathvariant="normal">d</mi><msubsup><mi>Z</mi><mrow><mn>1</mn></mrow>'
        '<mrow><mi mathvariant="normal">⊤</mi></mrow></msubsup></mrow>'
    )
    several = derive.notation.Piece(notation.name("Wh2"))
    assert notation.transpose(several).text.startswith("<msup>")


def test_notebooks_get_a_fragment() -> None:
    given = derive.derivation("2-10-2")
    for shown in (given._repr_html_(), given.program._repr_html_(), program_html(given.program)):
        Page(shown)
        assert "<html" not in shown
        assert "href" not in shown
        assert shown.count("<math") > 12


PROBE = """<script>
const boxes = [...document.querySelectorAll('math')].map(m => m.getBoundingClientRect());
const ends = [...document.querySelectorAll('a[href^="#"]')].map(a =>
  document.getElementById(a.getAttribute('href').slice(1)));
const frac = document.querySelector('mfrac');
document.title = JSON.stringify({
  formulas: boxes.length, shown: boxes.filter(b => b.width > 0 && b.height > 5).length,
  tall: frac.getBoundingClientRect().height > 1.5 * document.querySelector('mn')
    .getBoundingClientRect().height,
  links: ends.length, broken: ends.filter(e => e === null).length,
  fetched: performance.getEntriesByType('resource').length,
  wider: document.documentElement.scrollWidth - window.innerWidth,
});
</script></body>"""


def seen_by_a_browser(text: str, folder: Path, tool, width: int) -> dict[str, Any]:
    """Return what a script in the page wrote into its title."""
    (folder / "page.html").write_text(text, encoding="utf-8")
    command = [
        tool("chromium", "chromium-browser", "google-chrome"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        "--dump-dom",
        (folder / "page.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    found = re.search(r"<title>(.*?)</title>", done.stdout.decode())
    assert found
    seen: dict[str, Any] = json.loads(found[1].replace("&quot;", '"'))
    return seen


@pytest.mark.parametrize("width", [1100, pytest.param(500, marks=pytest.mark.long)])
def test_a_browser_shows_it(width: int, tmp_path: Path, tool) -> None:
    text = page("2-20:relu-3:softmax-2")
    seen = seen_by_a_browser(text.replace("</body>", PROBE), tmp_path, tool, width)
    assert seen["shown"] == seen["formulas"] == text.count("<math")
    assert seen["tall"]  # MathML is laid out, not just listed
    assert seen["links"] > 100
    assert (seen["broken"], seen["fetched"]) == (0, 0)
    assert seen["wider"] <= 0  # long formulas scroll within the page


NOTEBOOK = """<!DOCTYPE html><html><head><title></title><style>
:root { --jp-content-font-color1: rgb(1, 2, 3); }
.jp-RenderedHTMLCommon table { table-layout: fixed; }
.jp-RenderedHTMLCommon.jp-RenderedHTML td { text-align: right; }
</style></head><body><div class="jp-RenderedHTMLCommon jp-RenderedHTML">SHOWN</div><script>
const rows = [...document.querySelectorAll('.lines tr')], box = e => e.getBoundingClientRect();
const part = (row, cell) => box(row.querySelector(cell + ' math'));
document.title = JSON.stringify({
  rows: rows.length,
  apart: Math.max(...rows.map(r => part(r, '.right').left - part(r, 'th').right)),
  over: Math.max(...rows.map(r => part(r, '.shape').right - box(r).right)),
  colour: getComputedStyle(document.querySelector('.lines')).color,
});
</script></body></html>"""


def test_a_notebook_shows_its_lines_aligned_and_whole(tmp_path: Path, tool) -> None:
    # what Jupyter's own style says of tables, and its colour of text
    shown = derive.derivation("2-10-2", names="lab")._repr_html_()
    seen = seen_by_a_browser(NOTEBOOK.replace("SHOWN", shown), tmp_path, tool, 900)
    assert seen["rows"] == 12
    assert seen["apart"] < 15  # pixels from the name to the equals sign
    assert seen["over"] <= 0  # shapes are within the table
    assert seen["colour"] == "rgb(1, 2, 3)"
