"""A network that tells classes apart."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from runtime.errors import InputError
from runtime.estimators.architecture import LOG_LOSSES, Architecture, activation_of, output_of
from runtime.estimators.base import _DTYPES, NetworkEstimator
from runtime.estimators.kernels import Array
from runtime.estimators.settings import hidden_sizes


def _has_probabilities(estimator: "NetworkClassifier") -> bool:
    """Whether the outputs are probabilities: a softmax, or the logistic units of the log loss."""
    if estimator.loss in LOG_LOSSES or output_of(estimator.loss, "softmax") == "softmax":
        return True
    raise AttributeError(
        f"loss={estimator.loss!r} has outputs that are no probabilities; use 'log_loss'"
    )


class NetworkClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A dense network for classification, trained by derived and compiled kernels.

    Parameters and attributes are named as those of `sklearn.neural_network.MLPClassifier`, mean
    the same and have the same defaults; with the same `random_state` the loss curve is the same
    to rounding. What is different:

    Parameters
    ----------
    hidden_layer_sizes
        Units of each hidden layer; ``()`` for none.
    activation
        Of the hidden layers: ``"relu"``, ``"tanh"``, ``"logistic"``, ``"identity"``,
        ``"softplus"``, ``"elu"``, ``"gelu"``, ``"silu"``, ``"sin"``, or a formula of your own:
        ``"mish(z) = z*tanh(log(1+exp(z)))"``.
    loss
        ``"auto"`` or ``"log_loss"``: two classes, and each of several labels, are a logistic
        unit; more classes a softmax. ``"hinge"``, ``"mse"``, …, or a formula in the output P
        (a softmax), the target Y and the last layer before its activation Z, such as
        ``"-sum(Y*(1-P)**2*log(P))"``: then every class has an output.
    define
        Formulas that `activation` and `loss` may use, as `activation` takes one.
    solver
        ``"adam"`` or ``"sgd"``; ``"lbfgs"`` is not there.
    compile
        ``"auto"``: compiled kernels where the fit would take more than about half a second in
        NumPy, and NumPy else; True or False: always or never. The first fit of an architecture
        waits some seconds for its kernels, which are then kept on the disk.
    threads
        That share a step of compiled kernels; by default what affinity and quota allow.

    Attributes
    ----------
    classes_, coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_
    best_validation_score_, n_iter_, t_, n_layers_, n_outputs_, out_activation_
    n_features_in_, feature_names_in_
        As MLPClassifier's; ``coefs_[l]`` has shape (in, out).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from runtime.estimators import NetworkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NetworkClassifier((20,), "tanh", learning_rate_init=0.01, random_state=0)
    >>> bool(model.fit(X, y).score(X, y) > 0.95)
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on the given data, from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; y need not hold every class.
        classes
            All classes; needed in the first call.
        """
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._know(y if type_of_target(y).startswith("multilabel") else classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        return self._fit(X, y, sample_weight, incremental=True)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class (B, n_classes), in the order of `classes_`."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X))
        return logarithms

    predict_proba = available_if(_has_probabilities)(predict_proba)
    predict_log_proba = available_if(_has_probabilities)(predict_log_proba)

    def _know(self, y: Any) -> None:
        """Learn which classes there are."""
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _architecture(self) -> Architecture:
        activation, define = activation_of(self.activation, self.define)
        loss = "cross-entropy" if self.loss in LOG_LOSSES else self.loss
        output = output_of(loss, "softmax")
        if self.loss in LOG_LOSSES and self._is_logistic():
            loss, output = "binary-cross-entropy", "sigmoid"
        return Architecture(
            hidden=hidden_sizes(self.hidden_layer_sizes),
            activation=activation,
            output=output,
            loss=loss,
            define=define,
            labels="any" if self._is_logistic() and output == "sigmoid" else "one-hot",
        )

    def _is_logistic(self) -> bool:
        """Whether each output is for itself: two classes, or several labels."""
        return bool(self._label_binarizer.y_type_ != "multiclass")

    def _is_stratified(self) -> bool:
        return self.n_outputs_ == 1

    def _targets(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=_DTYPES if reset else self.coefs_[0].dtype,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._know(y)
        else:
            self._check_classes(unique_labels(y), all_of_them=not incremental)
        Y = self._label_binarizer.transform(y)
        return X, np.ascontiguousarray(self._one_output_a_class(Y), X.dtype)

    def _check_classes(self, found: Array, *, all_of_them: bool) -> None:
        known = set(self.classes_.tolist())
        if all_of_them and set(found.tolist()) != known:
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {found}"
            )
        if not set(found.tolist()) <= known:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {found}."
            )

    def _one_output_a_class(self, Y: Array) -> Array:
        """Return the targets of a loss that is not the log loss, of which none is logistic."""
        if self.loss in LOG_LOSSES:
            return Y
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise InputError(
                f"loss={self.loss!r} takes one class a sample; several need 'log_loss'."
            )
        if len(self.classes_) < 2:
            raise InputError(f"loss={self.loss!r} needs two classes, and y has one class.")
        return np.hstack([1 - Y, Y]) if Y.shape[1] == 1 else Y

    def _answers(self, outputs: Array) -> Array:
        if self.loss not in LOG_LOSSES:
            chosen: Array = self.classes_[outputs.argmax(axis=1)]
            return chosen
        outputs = outputs.ravel() if self.n_outputs_ == 1 else outputs
        answers: Array = self._label_binarizer.inverse_transform(outputs)
        return answers

    def _score_of(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        if self.loss in LOG_LOSSES:
            known = self._label_binarizer.inverse_transform(Y.ravel() if Y.shape[1] == 1 else Y)
        else:
            known = self.classes_[Y.argmax(axis=1)]
        return float(accuracy_score(known, self._answers(outputs), sample_weight=weights))


__all__ = ["NetworkClassifier"]
