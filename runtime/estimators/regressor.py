"""A network that predicts numbers."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import validate_data

from runtime.estimators.architecture import (
    HALF_SQUARED_ERROR,
    SQUARED_ERRORS,
    Architecture,
    activation_of,
    output_of,
)
from runtime.estimators.base import _DTYPES, NetworkEstimator
from runtime.estimators.kernels import Array
from runtime.estimators.settings import hidden_sizes


class NetworkRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A dense network for regression, trained by derived and compiled kernels.

    The parameters are those of `NetworkClassifier`, but for the loss.

    Parameters
    ----------
    loss
        ``"auto"`` or ``"squared_error"``: half the squared error, summed over the outputs;
        ``"mse"``, ``"mae"``, ``"huber"``: means over the outputs; or a formula in the output P and
        the target Y, such as ``"sum(log(1 + (P - Y)**2))"``. The output is ``identity``.

    Examples
    --------
    >>> import numpy as np
    >>> from runtime.estimators import NetworkRegressor
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> model = NetworkRegressor((20,), "tanh", learning_rate_init=0.01, random_state=0)
    >>> bool(model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.9)
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _architecture(self) -> Architecture:
        activation, define = activation_of(self.activation, self.define)
        loss = HALF_SQUARED_ERROR if self.loss in SQUARED_ERRORS else self.loss
        return Architecture(
            hidden=hidden_sizes(self.hidden_layer_sizes),
            activation=activation,
            output=output_of(loss, "identity"),
            loss=loss,
            define=define,
            labels="any",
        )

    def _targets(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        del incremental
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=_DTYPES if reset else self.coefs_[0].dtype,
            reset=reset,
        )
        return X, np.ascontiguousarray(y.reshape(len(y), -1), X.dtype)

    def _answers(self, outputs: Array) -> Array:
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _score_of(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        return float(r2_score(Y, outputs, sample_weight=weights))


__all__ = ["NetworkRegressor"]
