"""Networks as scikit-learn's estimators, with the parameters and attributes of MLPClassifier.

    from runtime.estimators import NetworkClassifier
    model = NetworkClassifier(hidden_layer_sizes=(100,), random_state=0).fit(X, y)

From the same `random_state` a fit gives the loss curve of `sklearn.neural_network.MLPClassifier`
(or MLPRegressor) to rounding, in less time; activation and loss may be formulas of your own.
Needs scikit-learn: ``pip install 'gradwright[sklearn]'``.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "scikit-learn is not installed, and the estimators need it. "
        "Install it with: pip install 'gradwright[sklearn]'",
        name=error.name,
    ) from None

from runtime.estimators.classifier import NetworkClassifier
from runtime.estimators.exchange import from_sklearn, to_sklearn
from runtime.estimators.regressor import NetworkRegressor

__all__ = ["NetworkClassifier", "NetworkRegressor", "from_sklearn", "to_sklearn"]
