"""Blanks to fill in: a text that holds the answers is cut to a worksheet or to its solution.

Both sheets are one text. Where an answer stands, a blank of the same number stands in the
worksheet, so that filling the blanks of the one gives the other, and no formula is written
twice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from derive.document import Math
from derive.errors import InternalError
from derive.notation import Notation

# private characters, which no formula holds
_OPEN, _WIDE, _MIDDLE, _CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
_MARKED = re.compile(
    f"{_OPEN}(?P<number>\\d+)(?P<wide>{_WIDE}?){_MIDDLE}(?P<answer>[^{_OPEN}{_CLOSE}]*){_CLOSE}"
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlankStyle:
    """How a format shows blanks and answers; ``{number}``, ``{room}``, ``{answer}`` stand in it.

    Attributes
    ----------
    blank, answer
        What is shown in the worksheet, and in the solution.
    rooms
        The room for a part of a formula, and for a whole one.
    """

    blank: str
    answer: str
    rooms: tuple[str, str]

    def cut(self, text: str, *, filled: bool) -> str:
        """Return a text with every answer, or with a blank in its place.

        Raises
        ------
        InternalError
            If an answer stands within another.
        """
        style = self.answer if filled else self.blank

        def shown(found: re.Match[str]) -> str:
            parts = {"number": found["number"], "answer": found["answer"]}
            parts["room"] = self.rooms[bool(found["wide"])]
            return _PLACE.sub(lambda place: parts[place[1]], style)

        result = _MARKED.sub(shown, text)
        if _OPEN in result or _CLOSE in result:
            raise InternalError("a blank stands within another")
        return result


_PLACE = re.compile(r"\{(number|room|answer)\}")
_BELOW = "<mtext>({number})</mtext></munder>"

STYLES: dict[str, BlankStyle] = {
    "text": BlankStyle(
        blank="⟨{number}: {room}⟩", answer="⟨{number}: {answer}⟩", rooms=("____", "________")
    ),
    "markdown": BlankStyle(
        blank=r"\,\underset{({number})}{\boxed{{room}}}\,",
        answer=r"\,\underset{({number})}{\boxed{{answer}}}\,",
        rooms=(r"\qquad\quad", r"\qquad\qquad\qquad\qquad\qquad"),
    ),
    "latex": BlankStyle(
        blank=r"\,\underset{({number})}{\underline{\hspace{{room}}}}\,",
        answer=r"\,\underset{({number})}{\boxed{{answer}}}\,",
        rooms=("5em", "16em"),
    ),
    "html": BlankStyle(
        blank=f'<munder class="blank"><mspace width="{{room}}" height="1.2em"></mspace>{_BELOW}',
        answer=f'<munder class="answer"><mrow>{{answer}}</mrow>{_BELOW}',
        rooms=("5em", "16em"),
    ),
}


@final
class Blanks:
    """Gives the blanks of a sheet their numbers, in the order in which they are made."""

    def __init__(self) -> None:
        self.number = 0

    def within(
        self, write: Callable[[Notation, Callable[[str], str]], str], *, wide: bool = False
    ) -> Math:
        """Return a formula with one blank; `write` is given a notation, and what marks it."""
        self.number += 1
        start = f"{_OPEN}{self.number}{_WIDE if wide else ''}{_MIDDLE}"
        return Math(lambda notation: write(notation, lambda answer: f"{start}{answer}{_CLOSE}"))

    def whole(self, formula: Math, *, wide: bool = False) -> Math:
        """Return a blank whose answer is a whole formula."""
        return self.within(lambda notation, marked: marked(formula.write(notation)), wide=wide)
