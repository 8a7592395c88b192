"""The network specification: ``2-10-2``, ``784-100:relu-50-10``, ``nx-nh-ny``.

Grammar::

    SPEC  = size { "-" layer }          at least one layer
    layer = size [ ":" activation ]
    size  = positive integer | name     name: n followed by a-z, 0-9, _

and ``N [ ":" activation ]`` for any number of hidden layers, see `derive.recurrence`.
"""

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from derive.errors import InputError
from derive.formula import parse_definition, parse_formula
from derive.formula_tree import Definition, Formula

LARGEST_SIZE = 10_000_000
MOST_LAYERS = 1_000
LONGEST_SPEC = 20_000

_NAME = re.compile(r"n[a-z0-9_]*")
_ANY_DEPTH = re.compile(r"N(?::(?P<activation>[^-]*))?")
_INTEGER = re.compile(r"[0-9]+")
_LONGEST_SIZE = 12  # digits
_LOSS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

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
OUTPUT_OF_FORMULA = "softmax"
VARIABLES = ("P", "Y", "Z")  # of a loss: output, target, last layer before its activation
# names of what `derive.definitions` defines; here too, since that needs SymPy
ACTIVATION_NAMES = (
    "identity",
    "tanh",
    "sigmoid",
    "relu",
    "softplus",
    "elu",
    "gelu",
    "silu",
    "sin",
    "softmax",
    "log_softmax",
)
ROW_ACTIVATIONS = ("softmax", "log_softmax")  # of a whole row, so no function of a formula
MOST_L2 = 1e6
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
        The loss of one sample, by name or as a formula; the mean over the batch is always
        taken.
    definitions
        Functions of the user's own, in the order of their definition.
    l2
        ``l2/2`` times the sum of the squares of the weights, not the biases, is added to
        the loss.
    """

    sizes: tuple[Size, ...]
    activations: tuple[str, ...]
    loss: str = DEFAULT_LOSS
    definitions: tuple[Definition, ...] = ()
    l2: float = 0.0

    @property
    def depth(self) -> int:
        """Number of layers with weights, L; one more than the hidden layers."""
        return len(self.activations)

    @property
    def formula(self) -> Formula | None:
        """The loss as a formula of the user's own; None if it has a name."""
        return None if self.loss in OUTPUT_OF_LOSS else _loss_formula(self.loss, self.definitions)

    @property
    def default_output(self) -> str:
        """The output's activation where none is written: it follows the loss."""
        return OUTPUT_OF_LOSS.get(self.loss, OUTPUT_OF_FORMULA)

    def definition(self, name: str) -> Definition | None:
        """Return the user's own function of that name, if there is one."""
        return next((d for d in self.definitions if d.name == name), None)

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
        defaults = [DEFAULT_HIDDEN] * (self.depth - 1) + [self.default_output]
        layers = [
            str(size) if act == default else f"{size}:{act}"
            for size, act, default in zip(self.sizes[1:], self.activations, defaults, strict=True)
        ]
        return "-".join([str(self.sizes[0]), *layers])


def parse_spec(
    text: str, *, loss: str = DEFAULT_LOSS, define: Sequence[str] = (), l2: float = 0.0
) -> NetworkSpec:
    """Read a network specification.

    Parameters
    ----------
    text
        For example ``"2-10-2"`` or ``"784-100:relu-10"``.
    loss
        The loss of one sample: ``"cross-entropy"`` (the output is then softmax unless
        written), ``"binary-cross-entropy"`` (sigmoid), ``"mse"``, ``"mae"``, ``"huber"`` or
        ``"hinge"`` (identity), or a formula (softmax) such as
        ``"-sum(Y*(1-P)**2*log(P))"`` in the language of `derive.formula`, in the output P,
        the target Y and the last layer before its activation Z.
    define
        Activations of your own, such as ``"mish(z) = z*tanh(log(1+exp(z)))"``; each may
        call those before it.
    l2
        Weight of the penalty ``l2/2 * sum of all squared weights``.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InputError
        If a text is not of its form, an activation or the loss is not known, or the
        network could not learn (softmax over a single output).

    Examples
    --------
    >>> print(parse_spec("2-10:mish-2", define=["mish(z) = z*tanh(log(1+exp(z)))"]))
    2-10:mish-2
    """
    definitions = _definitions(define)
    if not loss.strip():
        raise InputError(
            f"loss: the formula is empty. Expected one of {', '.join(LOSSES)}, or a formula, "
            "such as -sum(Y*log(P))."
        )
    if loss not in OUTPUT_OF_LOSS:
        if _LOSS_NAME.fullmatch(loss):
            raise InputError(
                f'loss: "{loss}" is not known.{_suggestion(loss, LOSSES)} '
                "Or a formula, such as -sum(Y*log(P))."
            )
        loss = str(_loss_formula(loss, definitions))
    if isinstance(l2, bool) or not (math.isfinite(l2) and 0 <= l2 <= MOST_L2):
        raise InputError(f"l2: {l2!r}. Expected a number from 0 to {MOST_L2:g}.")
    if len(text) > LONGEST_SPEC:
        raise InputError(
            f"network: {len(text)} characters, at most {LONGEST_SPEC} are read. "
            f"Give at most {MOST_LAYERS} layers."
        )
    if is_any_depth(text):
        raise InputError(
            f"network: {_quoted(text)} stands for any number of hidden layers, and code needs a "
            "depth. Write the sizes from input to output, for example 2-10-2; "
            f"gradwright derive {text} derives for every depth."
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
            default = OUTPUT_OF_LOSS.get(loss, OUTPUT_OF_FORMULA) if last else DEFAULT_HIDDEN
            name = activation if colon else default
            own = tuple(definition.name for definition in definitions)
            _check_activation(text, name, offset + len(size) + 1, position, own)
            activations.append(name)
        offset += len(part) + 1
    spec = NetworkSpec(
        sizes=tuple(sizes),
        activations=tuple(activations),
        loss=loss,
        definitions=definitions,
        l2=float(l2),
    )
    _check_learnable(spec)
    return spec


def is_any_depth(text: str) -> bool:
    """Whether a specification stands for any number of hidden layers: ``N``, ``N:relu``."""
    return _ANY_DEPTH.fullmatch(text) is not None


def one_hidden_layer(text: str) -> str:
    """Return the specification with one hidden layer that stands for ``N`` or ``N:relu``.

    Raises
    ------
    InputError
        If `text` is neither.
    """
    found = _ANY_DEPTH.fullmatch(text)
    if found is None:
        raise InputError(
            "network: any depth is written N, or N:activation for hidden layers that are "
            "not tanh, for example N:relu."
        )
    activation = found["activation"]
    return "n0-n1-n2" if activation is None else f"n0-n1:{activation}-n2"


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
    is_long = len(size.lstrip("0")) > _LONGEST_SIZE
    if is_long or not 1 <= int(size) <= LARGEST_SIZE:
        shown = _quoted(size) if is_long else int(size)
        raise _refused(
            text, offset, f"{where} is {shown}. Expected a number from 1 to {LARGEST_SIZE}"
        )
    return int(size)


def _definitions(texts: Sequence[str]) -> tuple[Definition, ...]:
    """Read the user's own functions, each in the light of those before it."""
    found: tuple[Definition, ...] = ()
    for text in texts:
        new = parse_definition(
            text, definitions=found, activations=_scalar_activations(), reserved=ROW_ACTIVATIONS
        )
        found = (*found, new)
    return found


def _loss_formula(text: str, definitions: tuple[Definition, ...]) -> Formula:
    formula = parse_formula(
        text,
        names=VARIABLES,
        definitions=definitions,
        activations=_scalar_activations(),
        allow_sum=True,
        what="--loss",
    )
    if not {"P", "Z"} & set(formula.names):
        raise InputError(
            f"--loss: {_quoted(text)} does not depend on the output, so there is nothing to learn. "
            "Use P, the output, or Z, the last layer before its activation."
        )
    return formula


def _scalar_activations() -> tuple[str, ...]:
    return tuple(name for name in ACTIVATION_NAMES if name not in ROW_ACTIVATIONS)


def _check_activation(
    text: str, name: str, offset: int, position: int, own: tuple[str, ...]
) -> None:
    known = (*ACTIVATION_NAMES, *own)
    if name not in known:
        problem = (
            f"layers[{position}].activation: {_quoted(name)} is not known."
            f"{_suggestion(name, known)}"
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
