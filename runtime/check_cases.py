"""The numbers that kernels are compared on: ordinary ones, and extreme ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.errors import InputError
from runtime.torch_oracle import loss_and_gradients, oracle_output

Array = NDArray[Any]
Params = dict[str, Array]

_SOFT = 16  # soft labels are multiples of 1/16: exact, and each row sums to exactly 1
_LEADING = (0.6, 1.2)  # size of the one large weight in each row
_REST = 0.1  # the others together, relative to that
_BIAS_SCALE = 0.1
# where the outputs are tried: bias, and scale of the last weights; at last between 0 and 1
_PLACES = (
    *((lift, 1.0) for lift in (0.0, 1.0, 2.0, 4.0, 8.0)),
    *((0.5, scale) for scale in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)),
)
_LARGE_INPUT = 1e4
_LARGE_LOGIT = 1e5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Parameters, inputs (B, n0) and targets (B, nL) in float64, exact in the kernels' type."""

    params: Params
    X: Array
    Y: Array

    def values(self) -> Params:
        """Return all arrays by name, as `derive.evaluate` takes them."""
        return {**self.params, "X": self.X, "Y": self.Y}

    def rounded(self, dtype: str) -> "Case":
        """Return the same case with every number rounded to `dtype`."""

        def round_off(array: Array) -> Array:
            return array.astype(dtype).astype(np.float64)

        params = {name: round_off(array) for name, array in self.params.items()}
        return Case(params=params, X=round_off(self.X), Y=round_off(self.Y))


def ordinary_case(
    spec: NetworkSpec,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    batch: int,
    seed: int,
    dtype: str,
    rows_sum_to_one: bool,
) -> Case:
    """Draw a case in which mistakes show and rounding does not.

    Nothing saturates, and in each row of a weight matrix one entry leads. With weights of
    equal size every layer adds up terms that cancel, and in 50 layers of 10 units the
    bounds grow to 1e12 times the gradients, where they would let anything pass; so drawn
    they are 1e-11 times the gradients in float64.

    Targets are one-hot in half of the rows and spread over the outputs in the other: on
    one-hot rows alone ``Y`` and ``Y**2`` are the same. For a loss that is not finite at
    the outputs drawn, such as the logarithm of a negative one, the outputs are lifted by
    their bias, or brought between 0 and 1.

    Raises
    ------
    InputError
        If the loss is not finite at any of these.
    """
    generator = np.random.default_rng(seed)
    params = {
        name: _weights(generator, *shape)
        if len(shape) == 2
        else _BIAS_SCALE * generator.standard_normal(shape)
        for name, shape in shapes.items()
    }
    X = generator.standard_normal((batch, int(spec.sizes[0])))
    outputs = int(spec.sizes[-1])
    labels = generator.multinomial(_SOFT, np.full(outputs, 1 / outputs), batch) / _SOFT
    labels[::2] = np.eye(outputs)[generator.integers(0, outputs, len(labels[::2]))]
    targets = [labels]
    if not rows_sum_to_one:  # labels only where the loss is not finite at other numbers
        targets.insert(0, generator.standard_normal((batch, outputs)))
    W, b = f"W{spec.depth}", f"b{spec.depth}"
    for (lift, scale), Y in product(_PLACES, targets):
        placed = {**params, W: scale * params[W], b: scale * params[b] + lift}
        case = Case(params=placed, X=X, Y=Y).rounded(dtype)
        # in their own type: an output that rounds to 1 there has no log(1 - P)
        loss, gradients = loss_and_gradients(spec, case.params, case.X, case.Y, dtype=dtype)
        if np.isfinite(loss) and all(np.isfinite(g).all() for g in gradients.values()):
            return case
    raise InputError(
        f"network: the loss {spec.loss} of {spec} is not a finite number on ordinary inputs, so "
        "there is nothing to compare. Choose another activation of the output, or another loss."
    )


def _weights(generator: np.random.Generator, rows: int, columns: int) -> Array:
    """Return weights of which one leads in each row, in another column each time."""
    weights = generator.standard_normal((rows, columns)) * (_REST / columns)
    repeats = -(-rows // columns)
    leading = np.concatenate([generator.permutation(columns) for _ in range(repeats)])[:rows]
    signs = generator.choice([-1.0, 1.0], rows)
    weights[np.arange(rows), leading] += signs * generator.uniform(*_LEADING, rows)
    return weights


def extreme_cases(spec: NetworkSpec, case: Case, dtype: str) -> Iterator[tuple[str, Case]]:
    """Yield cases far from ordinary, with what is extreme in words."""
    large = replace(case, X=_LARGE_INPUT * case.X)
    yield f"inputs of {_LARGE_INPUT:.0e}", large.rounded(dtype)
    linear = replace(spec, activations=(*spec.activations[:-1], "identity"), loss="mse")
    logits = float(np.abs(oracle_output(linear, large.params, large.X)).max(initial=0.0))
    if logits > 0:
        last = (f"W{spec.depth}", f"b{spec.depth}")
        scaled = {name: large.params[name] * (_LARGE_LOGIT / logits) for name in last}
        steep = replace(large, params={**large.params, **scaled})
        yield f"logits of {_LARGE_LOGIT:.0e}", steep.rounded(dtype)
