"""To and from scikit-learn's own MLPClassifier and MLPRegressor, exact in the parameters."""

import copy
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from runtime.errors import InputError
from runtime.estimators.architecture import LOG_LOSSES, SQUARED_ERRORS
from runtime.estimators.classifier import NetworkClassifier
from runtime.estimators.convergence import Convergence
from runtime.estimators.regressor import NetworkRegressor

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")  # that scikit-learn's have
_OURS_ALONE = ("loss", "define", "compile", "threads")
_ALIKE = ("classes_", "_label_binarizer", "n_features_in_", "feature_names_in_")
_COUNTS = ("n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_")
_OUTPUTS = {"logistic": "sigmoid"}  # scikit-learn's name of an output -> ours


def from_sklearn(model: Any) -> NetworkClassifier | NetworkRegressor:
    """Return the estimator that a fitted MLPClassifier or MLPRegressor is: arrays are copied.

    It predicts the same, and `partial_fit` or ``warm_start`` go on from there with an optimiser
    that begins anew. A model that ``"lbfgs"`` has fitted gets ``solver="adam"``.

    Raises
    ------
    InputError
        If it is none of the two, or its loss is ``"poisson"``.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(model, MLPClassifier | MLPRegressor):
        raise InputError(
            f"{type(model).__name__} cannot be taken over. Expected MLPClassifier or MLPRegressor."
        )
    check_is_fitted(model)
    if model.out_activation_ == "exp":
        raise InputError("loss='poisson' cannot be taken over: its output is exp(Z).")
    kind = NetworkClassifier if is_classifier(model) else NetworkRegressor
    given = model.get_params()
    known = {name: given[name] for name in kind().get_params() if name in given}
    known |= {"solver": "adam"} if model.solver == "lbfgs" else {}
    known["loss"] = "auto"
    ours = kind(**known)
    _copy(model, ours)
    ours.out_activation_ = _OUTPUTS.get(model.out_activation_, model.out_activation_)
    ours.loss_curve_ = list(getattr(model, "loss_curve_", []))
    scores = getattr(model, "validation_scores_", None)
    ours.validation_scores_ = None if scores is None else list(scores)
    best_loss = getattr(model, "best_loss_", None)
    best_score = getattr(model, "best_validation_score_", None)
    ours._convergence = Convergence(
        tol=float(model.tol),
        patience=float(model.n_iter_no_change),
        best_loss=np.inf if best_loss is None else float(best_loss),
        best_score=-np.inf if best_score is None else float(best_score),
    )
    ours._state, ours._rate = {}, float(model.learning_rate_init)
    return ours


def to_sklearn(model: NetworkClassifier | NetworkRegressor) -> Any:
    """Return the fitted MLPClassifier or MLPRegressor that an estimator is: arrays are copied.

    Raises
    ------
    InputError
        If it has a loss or an activation that scikit-learn's has not.
    NotFittedError
        If it is not fitted.
    """
    check_is_fitted(model)
    classifies = isinstance(model, NetworkClassifier)
    if model.loss not in (LOG_LOSSES if classifies else SQUARED_ERRORS):
        raise InputError(f"loss={model.loss!r} cannot be handed over: scikit-learn has one loss.")
    if model.activation not in ACTIVATIONS:
        raise InputError(
            f"activation={model.activation!r} cannot be handed over: scikit-learn has "
            f"{', '.join(ACTIVATIONS)}."
        )
    given = {name: v for name, v in model.get_params().items() if name not in _OURS_ALONE}
    theirs = (MLPClassifier if classifies else MLPRegressor)(**given)
    _copy(model, theirs)
    names = {ours: name for name, ours in _OUTPUTS.items()}
    theirs.out_activation_ = names.get(model.out_activation_, model.out_activation_)
    theirs.loss_curve_ = list(model.loss_curve_)
    theirs.best_loss_ = model.best_loss_
    theirs.validation_scores_ = copy.copy(model.validation_scores_)
    theirs.best_validation_score_ = model.best_validation_score_
    theirs._no_improvement_count = model._convergence.count  # what partial_fit goes on from
    theirs._best_coefs = [array.copy() for array in theirs.coefs_]
    theirs._best_intercepts = [array.copy() for array in theirs.intercepts_]
    return theirs


def _copy(model: Any, other: Any) -> None:
    """Copy weights and biases, what is known of the data, and the counts of epochs."""
    other.coefs_ = [np.array(W, order="C") for W in model.coefs_]
    other.intercepts_ = [np.array(b) for b in model.intercepts_]
    for name in (*_ALIKE, *_COUNTS):
        if hasattr(model, name):
            setattr(other, name, copy.deepcopy(getattr(model, name)))


__all__ = ["from_sklearn", "to_sklearn"]
