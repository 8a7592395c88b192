"""A whole derivation as one HTML page: formulas in MathML, no script, nothing from a network.

Each backward line links to the lines that it came from and to the rules that led from them
to it; with steps, to the step that used the rule.
"""

import re
from html import escape

from derive.board import Told
from derive.document import (
    Document,
    Equations,
    Lines,
    Math,
    Paragraphs,
    Proof,
    Recorded,
    Section,
    Sentence,
    Sentences,
    Table,
    Tensors,
    WrittenOut,
    words_of,
)
from derive.html_style import PAGE_STYLE, STYLE
from derive.mathml_notation import mathml
from derive.printing import MATHML, Form, shape_mathml, sides, written_out
from derive.program import Program, Statement
from derive.report import text_sentence
from derive.rules import OF_ORIGIN, RULES


def write_html(doc: Document) -> str:
    """Return a document as a page that needs no other file."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(text_sentence(doc.title))}</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n"
        f"</head>\n<body>\n{_Writer(doc).body()}</body>\n</html>\n"
    )


def write_html_fragment(doc: Document) -> str:
    """Return a document as what stands in a page, for a notebook."""
    return f"<style>\n{STYLE}</style>\n{_Writer(doc).body(linked=False)}"


def program_html(program: Program, *, form: Form = "matrix") -> str:
    """Return the statements of a programme as a table, for a notebook."""
    doc = Document(title=(), programs=(program,), form=form, steps=False, sections=())
    table = _Writer(doc).lines(program.statements, linked=False)
    return f'<style>\n{STYLE}</style>\n<div class="gradwright">\n{table}\n</div>\n'


class _Writer:
    """Writes the sections of one document."""

    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.told = doc.told(MATHML)
        self.names = doc.names
        forward = {statement.name for program in doc.programs for statement in program.forward}
        lines = {s.name: s.name for s in doc.statements if s.name in forward}
        self.line = {**lines, **doc.told_as}  # the line that a forward value's name leads to
        self.used: dict[str, None] = {}  # the rules that are spoken of, in order

    def body(self, *, linked: bool = True) -> str:
        """Return everything that stands in the page; `linked` says whether within itself."""
        parts = [f'<main class="gradwright">\n<h1>{self.sentence(self.doc.title)}</h1>']
        for section in self.doc.sections:
            parts.append(f"<section>\n<h2>{self.sentence(section.heading)}</h2>")
            parts.append(f"{self.content(section, linked=linked)}\n</section>")
        if linked and self.used:
            parts.append(self.rules())
        return "\n".join(parts) + "\n</main>\n"

    def content(self, section: Section, *, linked: bool) -> str:
        match section.content:
            case Tensors(tensors=tensors):
                items = [
                    f"<li>{_math(MATHML.name(t.name))} "
                    f'<span class="shape">{_math(shape_mathml(t.shape))}</span></li>'
                    for t in tensors
                ]
                return _list(items, inline=True)
            case Lines(statements=statements):
                return self.lines(statements, linked=linked)
            case Equations(equations=equations):
                rows = []
                for e in equations:
                    if e.said:
                        said = self.sentence(e.said)
                        rows.append(f'<tr class="said"><td colspan="2">{said}</td></tr>')
                    rows.append(
                        f"<tr>{_equation(e.left.write(MATHML), e.right.write(MATHML))}</tr>"
                    )
                return _table(rows, "equations")
            case Proof(certificate=certificate):
                return f'<div class="wide">{certificate.to_html(self.prose)}</div>'
            case WrittenOut(program=program):
                rows = [
                    f"<tr>{_equation(left, right)}</tr>"
                    for _, left, right in written_out(program, MATHML, form=self.doc.form)
                ]
                return _table(rows)
            case Sentences(sentences=sentences, stop=stop):
                items = [f"<li>{self.sentence(sentence)}</li>" for sentence in sentences]
                return _list(items, inline=not stop.strip())
            case Paragraphs(paragraphs=paragraphs):
                return "\n".join(f"<p>{self.sentence(paragraph)}</p>" for paragraph in paragraphs)
            case Table(head=head, rows=rows):
                first, *others = (
                    "".join(f"<{tag}>{self.sentence(cell)}</{tag}>" for cell in row)
                    for tag, row in (("th", head), *(("td", row) for row in rows))
                )
                body = "\n".join(f"<tr>{row}</tr>" for row in others)
                return (
                    f'<div class="wide"><table class="cells"><thead><tr>{first}</tr></thead>\n'
                    f"<tbody>\n{body}\n</tbody></table></div>"
                )

    def lines(self, statements: tuple[Statement, ...], *, linked: bool) -> str:
        """Return statements as the rows of a table, with shape and origin."""
        rows = []
        for statement in statements:
            left, right = sides(statement, MATHML, self.doc.form)
            anchor = f' id="{_slug(statement.name)}"' if linked else ""
            shape = f'<td class="shape">{_math(shape_mathml(statement.target.shape))}</td>'
            origin = f'<td class="from">{self.origin(statement)}</td>' if linked else ""
            rows.append(f"<tr{anchor}>{_equation(left, right)}{shape}{origin}</tr>")
            told = self.told.get(statement.name, ())
            if told:
                rows.append(f'<tr class="steps"><td colspan="4">{self.steps(told)}</td></tr>')
        return _table(rows)

    def origin(self, statement: Statement) -> str:
        """Return where a statement came from: the lines, and the rules that led to it."""
        told = {one.step.rule: one.number for one in reversed(self.told.get(statement.name, ()))}
        words: dict[str, list[str]] = {}
        for entry in statement.origin:
            kind, colon, rest = entry.partition(": ")
            rule = OF_ORIGIN.get(kind, kind)
            if colon and rule in RULES:
                # what a loss is defined as is the user's own text
                written = escape(rest) if rule == "definition" else self.linked_prose(rest)
                words.setdefault(rule, []).append(written)
            else:
                words.setdefault("", []).append(self.linked_prose(entry))
        parts = []
        for rule, sources in words.items():
            what = ", ".join(dict.fromkeys(sources))
            parts.append(f"{self.rule_link(rule, told.get(rule))}: {what}" if rule else what)
        return "; ".join(parts)

    def rule_link(self, rule: str, step: int | None = None) -> str:
        self.used[rule] = None
        target = f"step-{step}" if step else f"rule-{_slug(rule)}"
        return f'<a href="#{target}">{escape(rule)}</a>'

    def steps(self, told: tuple[Told, ...]) -> str:
        """Return the steps of a statement, open, to be folded by who has read them."""
        first, last = told[0].number, told[-1].number
        items = []
        for one in told:
            rule = f"<b>{self.rule_link(one.step.rule)}</b>: {self.linked_prose(one.step.reason)}"
            head, *others = one.forms
            rows = [f"<tr>{_equation(one.left, head)}</tr>"]
            rows += [f"<tr>{_equation('', form)}</tr>" for form in others]
            items.append(
                f'<li id="step-{one.number}"><span class="why">{rule}</span>'
                f'<div class="wide"><table>{"".join(rows)}</table></div></li>'
            )
        counted = f"step {first}" if first == last else f"steps {first} to {last}"
        return (
            f"<details open><summary>{counted}</summary>\n"
            f'<ol start="{first}">\n' + "\n".join(items) + "\n</ol></details>"
        )

    def rules(self) -> str:
        """Return what each rule that is spoken of does."""
        entries = []
        for rule in RULES:
            if rule in self.used:
                words = self.sentence(RULES[rule])
                entries.append(f'<dt id="rule-{_slug(rule)}">{escape(rule)}</dt><dd>{words}</dd>')
        return "<section>\n<h2>Rules</h2>\n<dl>\n" + "\n".join(entries) + "\n</dl>\n</section>"

    def sentence(self, sentence: Sentence) -> str:
        words = []
        for part in sentence:
            match part:
                case Math():
                    words.append(_math(part.write(MATHML)))
                case Recorded(text):
                    words.append(self.prose(text))
                case str(text):
                    words.append(escape(text))
        return "".join(words)

    def prose(self, text: str, *, linked: bool = False) -> str:
        """Return plain text with names set as formulas, and as links to their lines."""

        def written(word: str) -> str:
            if word not in self.names:
                return escape(word)
            formula = _math(MATHML.name(word))
            if linked and word in self.line:
                return f'<a href="#{_slug(self.line[word])}">{formula}</a>'
            return formula

        return "".join(map(written, words_of(text)))

    def linked_prose(self, text: str) -> str:
        return self.prose(text, linked=True)


def _equation(left: str, right: str) -> str:
    equals = MATHML.equals_sign
    return (
        f'<th scope="row">{mathml(left, display=True) if left else ""}</th>'
        f'<td class="right">{mathml("<mrow></mrow>" + equals + right, display=True)}</td>'
    )


def _math(formula: str) -> str:
    return mathml(formula)


def _table(rows: list[str], kind: str = "lines") -> str:
    body = "\n".join(rows)
    return f'<div class="wide"><table class="{kind}"><tbody>\n{body}\n</tbody></table></div>'


def _list(items: list[str], *, inline: bool) -> str:
    kind = ' class="inline"' if inline else ""
    return f"<ul{kind}>\n" + "\n".join(items) + "\n</ul>"


def _slug(text: str) -> str:
    """Return a name that an anchor may have."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text.replace("ℓ", "l"))
