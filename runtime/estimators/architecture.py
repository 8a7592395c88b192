"""The network that an estimator's parameters describe, as a specification."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from derive.spec import OUTPUT_OF_LOSS, NetworkSpec, parse_spec
from runtime.errors import InputError

SKLEARN_NAMES = {"logistic": "sigmoid"}  # scikit-learn's name -> ours
LOG_LOSSES = ("auto", "log_loss", "cross-entropy")
SQUARED_ERRORS = ("auto", "squared_error")
HALF_SQUARED_ERROR = "sum((P - Y)**2)/2"  # whose gradient in P is P - Y, as MLPRegressor's


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network but for its sizes: what kernels in NumPy depend on.

    Attributes
    ----------
    hidden
        Sizes of the hidden layers.
    activation, output
        Names of the activations of hidden layers and output.
    loss
        Of one sample, as `derive.parse_spec` reads it.
    define
        Functions of the user's own.
    labels
        ``"one-hot"`` where every row of the targets sums to 1, else ``"any"``.
    """

    hidden: tuple[int, ...]
    activation: str
    output: str
    loss: str
    define: tuple[str, ...]
    labels: str

    def of_sizes(self, inputs: int, outputs: int) -> NetworkSpec:
        """Return the specification with its sizes as numbers."""
        return self._spec([str(inputs), *map(str, self.hidden), str(outputs)])

    def of_any_size(self) -> NetworkSpec:
        """Return the specification with sizes n0, n1, …."""
        return self._spec([f"n{layer}" for layer in range(len(self.hidden) + 2)])

    def _spec(self, sizes: Sequence[str]) -> NetworkSpec:
        first, *hidden, last = sizes
        layers = [f"{size}:{self.activation}" for size in hidden] + [f"{last}:{self.output}"]
        return parse_spec("-".join([first, *layers]), loss=self.loss, define=self.define)


def activation_of(activation: object, define: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return an activation's name and all definitions, for a name or a definition.

    Parameters
    ----------
    activation
        scikit-learn's name or ours, or a formula such as ``"mish(z) = z*tanh(log(1+exp(z)))"``.
    define
        Further definitions, before it.

    Raises
    ------
    InputError
        If it is no text, or a definition cannot be read.
    """
    if not isinstance(activation, str):
        raise InputError(f"activation={activation!r} cannot be used. Expected a name or a formula.")
    define = (define,) if isinstance(define, str) else tuple(define)
    if "=" not in activation:
        return SKLEARN_NAMES.get(activation, activation), define
    define = (*define, activation)
    known = parse_spec("1-1", loss="mse", define=define).definitions
    return known[-1].name, define


def output_of(loss: str, default: str) -> str:
    """Return the activation of the output for a loss by name, or `default` for a formula."""
    return OUTPUT_OF_LOSS.get(loss, default)


__all__ = ["HALF_SQUARED_ERROR", "Architecture", "activation_of", "output_of"]
