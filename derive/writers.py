"""The writer of each format: from what a derivation says to text of that format."""

from collections.abc import Callable

from derive.document import Document
from derive.errors import InputError
from derive.html_report import write_html
from derive.latex_report import write_latex
from derive.markdown_report import write_markdown
from derive.report import write_text

WRITERS: dict[str, Callable[[Document], str]] = {
    "text": write_text,
    "latex": write_latex,
    "markdown": write_markdown,
    "html": write_html,
}
FORMATS = (*WRITERS, "json")  # which is written from the programme itself


def write(document: Document, format_: str) -> str:
    """Return a document in one of `WRITERS`.

    Raises
    ------
    InputError
        If the format is not known.
    """
    if format_ not in WRITERS:
        raise InputError(f'format: "{format_}" is not known. Known: {", ".join(FORMATS)}.')
    return WRITERS[format_](document)
