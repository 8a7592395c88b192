"""A fitted estimator, ours or scikit-learn's own, as a network that files can hold."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from runtime.estimators.base import NetworkEstimator
from runtime.estimators.exchange import from_sklearn
from runtime.portable import PortableNetwork


def portable_of(estimator: Any) -> PortableNetwork:
    """Return the network that an estimator has fitted; arrays are copied.

    Raises
    ------
    InputError
        If it is no estimator of dense networks.
    NotFittedError
        If it is not fitted.
    """
    ours = estimator if isinstance(estimator, NetworkEstimator) else from_sklearn(estimator)
    check_is_fitted(ours)
    weights = [np.ascontiguousarray(W.T) for W in ours.coefs_]
    params: dict[str, Any] = {}
    for layer, (W, b) in enumerate(zip(weights, ours.intercepts_, strict=True), start=1):
        params |= {f"W{layer}": W, f"b{layer}": np.array(b)}
    network = ours._architecture().of_sizes(weights[0].shape[1], len(weights[-1]))
    labels = getattr(ours, "classes_", None)
    classes = () if labels is None else tuple(map(_plain, np.asarray(labels).tolist()))
    return PortableNetwork(network=network, params=params, classes=classes)


def _plain(label: Any) -> int | str:
    return label if type(label) in (int, str) else str(label)
