"""How the name of a tensor or size is set: ``dWh2`` is d W, with the subscript h and 2 below it."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import final

_ACCENTS = ("tilde", "hat")
# vZ1 and hZ1 are how Z1 and dZ1 change along v; htilde and h1 are the lab's, and are not
_ALONG = re.compile(r"[vh](?=(?:[WbZH]\d+|P|[Wb][hy]\d*|[hy](?:tilde|hat)?\d*)\Z)")
# the layers of `derive.layer_names`: W_ℓ, H_{ℓ−1}
_IN_LAYER = re.compile(r"(?P<stem>[A-Za-z])_(?:(?P<one>[ℓN])|\{(?P<other>[ℓN][+−]\d+)\})")
_NAME = re.compile(r"(?P<stem>[A-Za-z]+)(?P<number>\d*)(?:_(?P<suffix>\w+))?")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NameParts:
    """A name, taken apart for a notation that has subscripts and accents.

    Attributes
    ----------
    marks
        Letters in front, upright: ``d`` of a gradient, ``v`` and ``h`` of a change along v.
    stem
        A letter, in italics, or a word, upright.
    accent
        ``"tilde"``, ``"hat"`` or nothing, over the stem.
    subscript
        ``h`` in ``Wh``, ``in`` in ``nin``.
    number
        Digits, or a layer such as ``ℓ+1``: below the subscript if there is one, else the
        subscript itself.
    suffix
        What follows an underscore, upright, behind the other subscripts.
    """

    marks: str
    stem: str
    accent: str = ""
    subscript: str = ""
    number: str = ""
    suffix: str = ""

    @property
    def has_subscript(self) -> bool:
        """Whether anything stands below the line."""
        return bool(self.subscript or self.number or self.suffix)


@lru_cache(maxsize=4096)
def name_parts(name: str) -> NameParts:
    """Take a name apart.

    Examples
    --------
    >>> name_parts("dZ1")
    NameParts(marks='d', stem='Z', accent='', subscript='', number='1', suffix='')
    >>> name_parts("htilde2").accent
    'tilde'
    """
    if len(name) > 1 and (name.startswith("d") or _ALONG.match(name)):
        inner = name_parts(name[1:])
        return NameParts(
            marks=name[0] + inner.marks,
            stem=inner.stem,
            accent=inner.accent,
            subscript=inner.subscript,
            number=inner.number,
            suffix=inner.suffix,
        )
    if layer := _IN_LAYER.fullmatch(name):
        return NameParts(marks="", stem=layer["stem"], number=layer["one"] or layer["other"])
    found = _NAME.fullmatch(name)
    if found is None:
        return NameParts(marks="", stem=name)
    stem, number, suffix = found["stem"], found["number"], found["suffix"] or ""
    letter, rest = stem[0], stem[1:]
    accent = rest if rest in _ACCENTS else ""
    subscript = ""
    if not accent and (len(rest) == 1 or (rest and letter == "n")):
        subscript = rest  # Wh, bh: one of a kind; nhidden: a size
    shown = letter if accent or subscript or not rest else stem
    return NameParts(
        marks="",
        stem=shown,
        accent=accent,
        subscript=subscript,
        number=number,
        suffix=suffix,
    )
