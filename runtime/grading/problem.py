"""What a student's file is asked: its network, as its parameters show it, and random inputs.

The sizes of the trials differ from one another, so that no transposed or exchanged operand
passes unnoticed. Further trials have the lab's own sizes, or sizes that are all equal, at
which a wrong line still runs that raises elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.grading.reference import size_names

Array = NDArray[Any]

# samples, then sizes from input to output; hidden ones from a list that is long enough
_HIDDEN = {"a": (5, 6, 8, 9, 11), "b": (4, 8, 7, 5, 6), "lab": (10, 10, 10, 10, 10)}
_EQUAL = {"equal": 4, "equal2": 6}
_ENDS = {"a": (7, 3, 4), "b": (6, 5, 3), "lab": (10, 2, 2)}
MOST_DEPTH = 6


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file names and stores the parameters of its network.

    Attributes
    ----------
    weights, biases
        Keys, layer by layer; a bias may be missing ("").
    turned
        Whether weights are stored with the inputs first.
    bias
        ``"column"`` as in the lab, ``"row"``, or ``"flat"``.
    """

    weights: tuple[str, ...]
    biases: tuple[str, ...]
    turned: bool = False
    bias: str = "column"

    @property
    def depth(self) -> int:
        """The number of layers of weights."""
        return len(self.weights)

    @property
    def is_lab(self) -> bool:
        """Whether parameters have the lab's shapes."""
        return not self.turned and self.bias == "column"

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key, weight and bias in turn."""
        pairs = zip(self.weights, self.biases, strict=True)
        return tuple(key for pair in pairs for key in pair if key)

    def stored(self, name: str, array: Array) -> Array:
        """Return a parameter of the lab's shape as the file stores it, by the file's key."""
        if name in self.weights:
            return array.T if self.turned else array
        return {"column": array, "row": array.T, "flat": array[:, 0]}[self.bias]

    def standard(self, name: str, array: Array) -> Array:
        """Return what the file stores by that key in the lab's shape."""
        if name in self.weights:
            return array.T if self.turned else array
        return array if self.bias == "column" else array.reshape(-1, 1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Random inputs of one size.

    Attributes
    ----------
    kind
        ``a`` and ``b``: all sizes different; ``lab``; ``equal``; ``own``: those that the
        file fixes.
    sizes
        By name, B included.
    given
        X, Y and the parameters by the lab's names, in its shapes, rounded to the file's dtype.
    rate
        A step size.
    slopes
        Random gradients for `sgd`, by the lab's names of the parameters.
    """

    kind: str
    sizes: dict[str, int]
    given: dict[str, Array]
    rate: float
    slopes: dict[str, Array]


def lab_parameters(depth: int) -> tuple[tuple[str, str], ...]:
    """Return the lab's names of weight and bias, layer by layer."""
    inner = [str(n) for n in range(1, depth)] if depth > 2 else [""] * (depth - 1)
    return (*((f"Wh{n}", f"bh{n}") for n in inner), ("Wy", "by"))


def lab_outputs(depth: int) -> tuple[str, ...]:
    """Return the lab's keys of what `forward` keeps."""
    inner = [str(n) for n in range(1, depth)] if depth > 2 else [""] * (depth - 1)
    hidden = [key for n in inner for key in (f"htilde{n}", f"h{n}")]
    return ("X", *hidden, "ytilde", "yhat")


def sizes_of(kind: str, depth: int) -> dict[str, int]:
    """Return the sizes of a trial of that kind, by name."""
    names = size_names(depth)
    if kind in _EQUAL:
        return dict.fromkeys(("B", *names), _EQUAL[kind])
    batch, first, last = _ENDS[kind]
    return {"B": batch, **dict(zip(names, (first, *_HIDDEN[kind][: depth - 1], last), strict=True))}


def make_trial(kind: str, sizes: Mapping[str, int], seed: int, dtype: str, salt: int = 0) -> Trial:
    """Return random inputs of given sizes, rounded to a dtype.

    Parameters
    ----------
    kind, sizes, seed, dtype
        Of the trial.
    salt
        Goes into the seed; made of the file that is graded, it keeps answers that were
        computed beforehand from being of use.
    """
    names = [name for name in sizes if name != "B"]
    depth = len(names) - 1
    generator = np.random.default_rng([salt, seed, *sizes.values()])
    batch, outputs = sizes["B"], sizes[names[-1]]
    labels = generator.permutation(np.arange(batch) % outputs)
    given = {
        "X": generator.standard_normal((batch, sizes[names[0]])),
        "Y": np.eye(outputs)[labels],
    }
    slopes: dict[str, Array] = {}
    for layer, (weight, bias) in enumerate(lab_parameters(depth)):
        before, after = sizes[names[layer]], sizes[names[layer + 1]]
        given[weight] = generator.standard_normal((after, before)) * 0.7
        given[bias] = generator.standard_normal((after, 1)) * 0.4
        slopes[weight] = generator.standard_normal((after, before))
        slopes[bias] = generator.standard_normal((after, 1))
    return Trial(
        kind=kind,
        sizes=dict(sizes),
        given={name: rounded(array, dtype) for name, array in given.items()},
        rate=0.0625 * (1 + seed % 3),
        slopes={name: rounded(array, dtype) for name, array in slopes.items()},
    )


def rounded(array: Array, dtype: str) -> Array:
    """Return an array in float64 whose entries a dtype can hold."""
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    return array.astype(dtype).astype(np.float64)


def find_layout(shapes: Mapping[str, Sequence[int]], inputs: int | None) -> Layout | None:
    """Read a network off the keys and shapes of its parameters.

    Parameters
    ----------
    shapes
        Shape by key, in the file's order.
    inputs
        Number of inputs, if it is known.

    Returns
    -------
    Layout or None
        None if the shapes do not make a chain of layers.
    """
    weights = [key for key in shapes if key[:1] in "Ww" and len(shapes[key]) == 2]
    others = [key for key in shapes if key not in weights]
    if not weights or len(weights) > MOST_DEPTH:
        return None
    biases = {weight: _partner(weight, others) for weight in weights}
    for turned in (False, True):
        for order in _orders(weights):
            ends = [tuple(shapes[key])[:: 1 if turned else -1] for key in order]
            chained = all(a[1] == b[0] for a, b in pairwise(ends))
            if not chained or (inputs is not None and ends[0][0] != inputs):
                continue
            widths = [end[1] for end in ends]
            style = _bias_style(
                [(shapes[biases[k]], n) for k, n in zip(order, widths, strict=True) if biases[k]]
            )
            if style is not None:
                return Layout(
                    weights=tuple(order),
                    biases=tuple(biases[key] for key in order),
                    turned=turned,
                    bias=style,
                )
    return None


def layout_from_keys(keys: Sequence[str]) -> Layout:
    """Return the layout that keys alone suggest; the lab's where they suggest none."""
    weights = [key for key in keys if key[:1] in "Ww"]
    others = [key for key in keys if key[:1] in "Bb"]
    if not weights or len(weights) > MOST_DEPTH or len(others) != len(weights):
        weights, others = ["Wh", "Wy"], ["bh", "by"]
    order = _orders(weights)[0]
    return Layout(weights=tuple(order), biases=tuple(_partner(key, others) for key in order))


def _partner(weight: str, others: Sequence[str]) -> str:
    """Return the bias of a weight: what follows the letter is the same."""
    for key in others:
        if key[:1] in "Bb" and key[1:] == weight[1:]:
            return key
    return ""


def _orders(weights: Sequence[str]) -> list[list[str]]:
    """Return orders of the layers, the likeliest first: by number, an output's letter last."""

    def place(key: str) -> tuple[int, list[tuple[int, str]]]:
        tail = key[1:].strip("_").lower()
        parts = [(int(p), "") if p.isdigit() else (-1, p) for p in re.findall(r"\d+|\D+", tail)]
        return (tail.startswith(("y", "o", "l")), parts)

    likely = sorted(weights, key=place)
    every = [likely, list(weights)]
    if len(weights) <= 4:
        every += [list(order) for order in permutations(weights)]
    return every


def _bias_style(found: Sequence[tuple[Sequence[int], int]]) -> str | None:
    """Return the one way in which all biases are stored."""
    for style, shape in (("column", (-1, 1)), ("row", (1, -1)), ("flat", (-1,))):
        if all(tuple(given) == tuple(n if e < 0 else e for e in shape) for given, n in found):
            return style
    return None
