"""The network specification: ``2-10-2``, ``784-100:relu-50-10``, ``nx-nh-ny``.

Grammar::

    SPEC  = size { "-" layer }          at least one layer
    layer = size [ ":" activation ]
    size  = positive integer | name     name: n followed by a-z, 0-9, _
"""

import difflib
import re
from dataclasses import dataclass
from typing import final

from derive.errors import InputError

LARGEST_SIZE = 10_000_000
MOST_LAYERS = 1_000
LONGEST_SPEC = 20_000

_NAME = re.compile(r"n[a-z0-9_]*")
_INTEGER = re.compile(r"[0-9]{1,12}")

# the default output activation follows the loss
OUTPUT_OF_LOSS = {
    "cross-entropy": "softmax",
    "binary-cross-entropy": "sigmoid",
    "mse": "identity",
    "mae": "identity",
    "huber": "identity",
    "hinge": "identity",
}
LOSSES = tuple(OUTPUT_OF_LOSS)
DEFAULT_HIDDEN = "tanh"
DEFAULT_LOSS = "cross-entropy"

Size = int | str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A dense network and the loss it is trained with.

    Attributes
    ----------
    sizes
        Number of inputs, of units in each hidden layer, and of outputs; an integer, or a
        name that stays symbolic.
    activations
        One name per layer, ``len(sizes) - 1`` of them; the last is the output's.
    loss
        Name of the loss of one sample; the mean over the batch is always taken.
    l2
        ``l2/2`` times the sum of the squares of the weights, not the biases, is added to
        the loss.
    """

    sizes: tuple[Size, ...]
    activations: tuple[str, ...]
    loss: str = DEFAULT_LOSS
    l2: float = 0.0

    @property
    def depth(self) -> int:
        """Number of layers with weights, L; one more than the hidden layers."""
        return len(self.activations)

    @property
    def is_symbolic(self) -> bool:
        """Whether any size is a name, so that no code can be generated."""
        return any(isinstance(size, str) for size in self.sizes)

    @property
    def text(self) -> str:
        """The specification with every activation written out, as `parse_spec` reads it."""
        layers = (
            f"{size}:{act}" for size, act in zip(self.sizes[1:], self.activations, strict=True)
        )
        return "-".join([str(self.sizes[0]), *layers])

    def __str__(self) -> str:
        """Write the specification, leaving out the activations that are the defaults."""
        defaults = [DEFAULT_HIDDEN] * (self.depth - 1) + [OUTPUT_OF_LOSS[self.loss]]
        layers = [
            str(size) if act == default else f"{size}:{act}"
            for size, act, default in zip(self.sizes[1:], self.activations, defaults, strict=True)
        ]
        return "-".join([str(self.sizes[0]), *layers])


def parse_spec(text: str, *, loss: str = DEFAULT_LOSS) -> NetworkSpec:
    """Read a network specification.

    Parameters
    ----------
    text
        For example ``"2-10-2"`` or ``"784-100:relu-10"``.
    loss
        ``"cross-entropy"`` (the output is then softmax unless written) or ``"mse"``
        (identity unless written).

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InputError
        If the text is not of the form above, an activation or the loss is not known, or
        the network could not learn (softmax over a single output).
    """
    if loss not in OUTPUT_OF_LOSS:
        raise InputError(f'loss: "{loss}" is not known.{_suggestion(loss, LOSSES)}')
    if len(text) > LONGEST_SPEC:
        raise InputError(
            f"network: {len(text)} characters, at most {LONGEST_SPEC} are read. "
            f"Give at most {MOST_LAYERS} layers."
        )
    parts = text.split("-")
    if len(parts) < 2:
        raise InputError(
            f"network: {_quoted(text)} has no layer. "
            "Expected sizes from input to output, for example 2-10-2."
        )
    if len(parts) - 1 > MOST_LAYERS:
        raise InputError(f"network: {len(parts) - 1} layers, at most {MOST_LAYERS} are supported.")
    sizes: list[Size] = []
    activations: list[str] = []
    offset = 0
    for position, part in enumerate(parts):
        size, colon, activation = part.partition(":")
        if position == 0 and colon:
            raise _refused(
                text, offset + len(size), "the input has no activation. Write it after a layer"
            )
        sizes.append(_parse_size(text, size, offset, position))
        if position > 0:
            last = position == len(parts) - 1
            default = OUTPUT_OF_LOSS[loss] if last else DEFAULT_HIDDEN
            name = activation if colon else default
            _check_activation(text, name, offset + len(size) + 1, position)
            activations.append(name)
        offset += len(part) + 1
    spec = NetworkSpec(sizes=tuple(sizes), activations=tuple(activations), loss=loss)
    _check_learnable(spec)
    return spec


def _parse_size(text: str, size: str, offset: int, position: int) -> Size:
    where = "the input size" if position == 0 else f"the size of layer {position}"
    if not size:
        raise _refused(text, offset, f"{where} is missing. Expected a number such as 10")
    if _NAME.fullmatch(size):
        return size
    if not _INTEGER.fullmatch(size):
        raise _refused(
            text,
            offset,
            f"{where} is {_quoted(size)}. Expected a positive integer, "
            "or a name such as nh (n, then a-z, 0-9 or _)",
        )
    number = int(size)
    if not 1 <= number <= LARGEST_SIZE:
        raise _refused(
            text, offset, f"{where} is {number}. Expected a number from 1 to {LARGEST_SIZE}"
        )
    return number


def _check_activation(text: str, name: str, offset: int, position: int) -> None:
    from derive.definitions import ACTIVATIONS  # SymPy is loaded only when a spec is read

    if name not in ACTIVATIONS:
        problem = (
            f"layers[{position}].activation: {_quoted(name)} is not known."
            f"{_suggestion(name, tuple(ACTIVATIONS))}"
        )
        raise _refused(text, offset, problem.removesuffix("."))


def _check_learnable(spec: NetworkSpec) -> None:
    for position, (size, name) in enumerate(
        zip(spec.sizes[1:], spec.activations, strict=True), start=1
    ):
        if name in ("softmax", "log_softmax") and size == 1:
            raise InputError(
                f"layers[{position}]: {name} over a single unit is constant, so nothing can "
                "be learnt. Use at least 2 units there, or sigmoid."
            )


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return f"{hint} Known: {', '.join(sorted(known))}."


def _quoted(text: str, longest: int = 60) -> str:
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return '"' + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown) + '"'


def _refused(text: str, offset: int, problem: str) -> InputError:
    start = max(0, offset - 50)
    window = text[start : start + 100]
    window = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in window)
    return InputError(f"network: {problem}.\n  {window}\n  {' ' * (offset - start)}^")
