"""Optimisers as formulas: what a step does to an entry W of a parameter with gradient g.

A line defines a name by a formula of `derive.formula`, in order. A name that is read before it
is defined is the optimiser's state, which starts at 0: one number for each entry where the
formula is about entries (``m``), and one in all where it is not (``step``). What is made of
numbers alone is computed once a step, in float64, and so has a line of its own: in float32
``1 - beta2`` would be off by 5e-5 of it. ``sum(...)`` runs over all entries of all gradients.

Nothing here needs SymPy; `codegen.optimizer_programs` makes kernel programmes of it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from codegen.errors import InputError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A number that training takes: what it is, its range from 0, and its default if it has one."""

    meaning: str
    default: float | None
    below: float = math.inf


OPTIONS: Mapping[str, Option] = {
    "momentum": Option(meaning="Share of the last step's velocity that is kept.", default=0.9),
    "beta1": Option(meaning="Share of the mean gradient that is kept.", default=0.9, below=1),
    "beta2": Option(meaning="Share of the mean square that is kept.", default=0.999, below=1),
    "eps": Option(meaning="What is added to the root of the mean square.", default=1e-8),
    "weight_decay": Option(
        meaning="Multiple of each parameter that is added to its gradient.", default=0.0
    ),
    "clip_norm": Option(
        meaning="Longest that the gradient of all parameters together may be.", default=None
    ),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """An optimiser: its name in a sentence, its formulas, and where they come from."""

    title: str
    formulas: tuple[str, ...]
    reference: str


_MEANS = (
    "step = step + 1",
    "fresh1 = 1 - beta1",
    "fresh2 = 1 - beta2",
    "m = beta1*m + fresh1*g",
    "v = beta2*v + fresh2*g**2",
)

METHODS: Mapping[str, Method] = {
    "sgd": Method(
        title="stochastic gradient descent",
        formulas=("W = W - eta*g",),
        reference="H. Robbins, S. Monro, 1951; torch.optim.SGD",
    ),
    "momentum": Method(
        title="gradient descent with momentum",
        formulas=("velocity = momentum*velocity + g", "W = W - eta*velocity"),
        reference="B. T. Polyak, 1964; torch.optim.SGD(momentum=)",
    ),
    "nesterov": Method(
        title="Nesterov's accelerated gradient descent",
        formulas=("velocity = momentum*velocity + g", "W = W - eta*(g + momentum*velocity)"),
        reference="Y. Nesterov, 1983; torch.optim.SGD(momentum=, nesterov=True)",
    ),
    "adam": Method(
        title="Adam",
        formulas=(
            *_MEANS,
            "rate = eta/(1 - beta1**step)",
            "scale = 1/sqrt(1 - beta2**step)",
            "W = W - rate*m/(scale*sqrt(v) + eps)",
        ),
        reference="D. P. Kingma, J. Ba, 2015, algorithm 1; torch.optim.Adam",
    ),
    "adam-sklearn": Method(
        title="Adam, with eps where scikit-learn has it",
        formulas=(
            *_MEANS,
            "rate = eta*sqrt(1 - beta2**step)/(1 - beta1**step)",
            "W = W - rate*m/(sqrt(v) + eps)",
        ),
        reference="D. P. Kingma, J. Ba, 2015, the end of section 2; sklearn's MLPClassifier",
    ),
}

WEIGHT_DECAY = "decayed = g + weight_decay*W"
CLIPPING = (
    "norm = sqrt(sum(g**2))",
    "clip = min(1, clip_norm/(norm + 1e-6))",
    "clipped = clip*g",
)

# the learning rate in epoch 0, 1, … of `epochs`
SCHEDULES: Mapping[str, str] = {
    "constant": "eta",
    "step": "where(3*epoch < epochs, eta, where(3*epoch < 2*epochs, eta/10, eta/100))",
    "cosine": "eta*(1 + cos(pi*epoch/epochs))/2",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a module trains with.

    Attributes
    ----------
    optimizer
        Name of the method; None is stochastic gradient descent and nothing else.
    schedule
        Name of the learning rate's course.
    clips
        Whether the gradient is clipped by its norm.
    formulas
        Its lines, in order.
    options
        The numbers that they read beside the learning rate, in the order of `OPTIONS`.
    """

    optimizer: str | None
    schedule: str
    clips: bool
    formulas: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is stochastic gradient descent at a constant rate, and nothing else."""
        return self.optimizer is None and not self.clips and self.schedule == "constant"

    @property
    def title(self) -> str:
        """What it is, in a sentence."""
        return METHODS[self.optimizer or "sgd"].title


def recipe(
    optimizer: str | None = None, *, clip_norm: bool = False, schedule: str = "constant"
) -> Recipe:
    """Return what a module trains with, by its names.

    An optimiser that is named knows weight decay, as those of ``torch.optim`` do.

    Raises
    ------
    InputError
        If a name is not known.
    """
    if optimizer is not None and optimizer not in METHODS:
        raise InputError(f'optimizer: "{optimizer}" is not known. Known: {", ".join(METHODS)}.')
    if schedule not in SCHEDULES:
        raise InputError(f'schedule: "{schedule}" is not known. Known: {", ".join(SCHEDULES)}.')
    lines: list[str] = []
    gradient = "g"
    if clip_norm:
        lines += CLIPPING
        gradient = "clipped"
    if optimizer is not None:
        lines.append(_reading(gradient, WEIGHT_DECAY))
        gradient = "decayed"
    lines += [_reading(gradient, line) for line in METHODS[optimizer or "sgd"].formulas]
    words = set(re.findall(r"\w+", " ".join(lines)))
    return Recipe(
        optimizer=optimizer,
        schedule=schedule,
        clips=clip_norm,
        formulas=tuple(lines),
        options=tuple(name for name in OPTIONS if name in words),
    )


def _reading(gradient: str, line: str) -> str:
    """Return a line with the gradient under the name that it has by then."""
    return re.sub(r"\bg\b", gradient, line)
