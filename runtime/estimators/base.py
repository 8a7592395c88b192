"""What classifier and regressor share: parameters, and fitting as scikit-learn does it."""

import warnings
from itertools import pairwise
from numbers import Real
from types import ModuleType
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from codegen.compressed_rows import module_takes_rows
from runtime.errors import InputError
from runtime.estimators.architecture import Architecture
from runtime.estimators.convergence import Convergence
from runtime.estimators.kernels import (
    OPTIMIZERS,
    WORTH_COMPILING,
    Array,
    any_size_module,
    compiled_module,
    forward,
    keep_kernels,
    seconds_in_numpy,
)
from runtime.estimators.settings import check_parameters, hidden_sizes

_DTYPES = (np.float64, np.float32)
_MOST_ORDERED = 2**22  # indices of samples that are drawn ahead: 32 MiB
_LEAST_RATE = 1e-6  # of "adaptive", as in scikit-learn


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """A dense network; see `NetworkClassifier` and `NetworkRegressor`."""

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        loss: str = "auto",
        define: Any = (),
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        compile: Any = "auto",  # noqa: A002
        threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.define = define
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.compile = compile
        self.threads = threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # what a task defines

    def _targets(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return checked inputs, and the targets (B, outputs)."""
        raise NotImplementedError

    def _architecture(self) -> Architecture:
        """Return the network that the parameters and the targets describe."""
        raise NotImplementedError

    def _answers(self, outputs: Array) -> Array:
        """Return what `predict` does for the network's outputs."""
        raise NotImplementedError

    def _score_of(self, Y: Array, outputs: Array, weights: Array | None) -> float:
        """Return the score of outputs for targets (B, outputs)."""
        raise NotImplementedError

    # fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (B, n_features) and y, with weights (B,) of the samples if they are given.

        Parameters
        ----------
        X
            Array, data frame or sparse matrix.
        y
            Classes (B,), or targets (B,) or (B, n_outputs).
        sample_weight
            Not negative; a weight of 2 is what the sample twice would be, but for the batches.

        Raises
        ------
        ValueError
            If data or a parameter cannot be used, or weights are not finite at the end.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on the given data, from where the last call ended."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Self:
        check_parameters(self)
        hidden = hidden_sizes(self.hidden_layer_sizes)
        if incremental and self.early_stopping:
            raise InputError("partial_fit does not support early_stopping=True")
        is_first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, Y = self._targets(X, y, incremental=incremental, reset=is_first)
        weights = _checked_weights(sample_weight, X)
        sizes = (X.shape[1], *hidden, Y.shape[1])
        random = check_random_state(self.random_state)
        if is_first:
            self._initialise(sizes, random, X.dtype)
        else:
            self._check_sizes(sizes)
        if is_first or not incremental:
            self._state: dict[str, Array] = {}
            self._rate = float(self.learning_rate_init)
        held = None
        if self.early_stopping:
            X, Y, weights, held = self._held_out(X, Y, weights, random)
        self._descend(X, Y, weights, held, random, incremental=incremental)
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed, or learning_rate_init is too large."
            )
        return self

    def _initialise(self, sizes: tuple[int, ...], random: Any, dtype: Any) -> None:
        """Draw the weights and biases as MLPClassifier does, and forget all earlier epochs."""
        self.n_layers_ = len(sizes)
        self.n_outputs_ = sizes[-1]
        self.out_activation_ = self._architecture().output
        self.t_ = 0
        self.loss_curve_: list[float] = []
        self._convergence = Convergence(tol=0.0, patience=0.0)
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        factor = 2.0 if self.activation == "logistic" else 6.0  # X. Glorot, Y. Bengio, 2010
        self.coefs_: list[Array] = []
        self.intercepts_: list[Array] = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(factor / (n_in + n_out))
            self.coefs_.append(random.uniform(-bound, bound, (n_in, n_out)).astype(dtype))
            self.intercepts_.append(random.uniform(-bound, bound, n_out).astype(dtype))

    def _check_sizes(self, sizes: tuple[int, ...]) -> None:
        known = (*(array.shape[0] for array in self.coefs_), self.coefs_[-1].shape[1])
        if sizes != known:
            raise InputError(
                f"the network was fitted with the sizes {'-'.join(map(str, known))}, and these "
                f"data and parameters ask for {'-'.join(map(str, sizes))}. Use "
                "warm_start=False, or a new estimator."
            )

    def _held_out(self, X: Any, Y: Array, weights: Array | None, random: Any) -> Any:
        """Return what is left for training, and what is held out to be scored."""
        parts = [X, Y] if weights is None else [X, Y, weights]
        split = train_test_split(
            *parts,
            random_state=random,
            test_size=self.validation_fraction,
            stratify=Y if self._is_stratified() else None,
        )
        X_val, Y_val = split[1], split[3]
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        train, held = (split[4], split[5]) if weights is not None else (None, None)
        return split[0], split[2], train, (X_val, Y_val, held)

    def _is_stratified(self) -> bool:
        return False

    def _batch(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                f"Got `batch_size` {self.batch_size} larger than the {samples} samples. "
                "It is going to be clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), samples)

    def _optimizer(self) -> str:
        if self.solver == "sgd" and self.nesterovs_momentum:
            return OPTIMIZERS["nesterov"]
        return OPTIMIZERS[self.solver]

    def _module(self, X: Any, batch: int, epochs: int) -> tuple[ModuleType, bool]:
        """Return the module that trains, and whether its kernels are compiled."""
        architecture = self._architecture()
        sizes = (X.shape[1], *architecture.hidden, self.n_outputs_)
        compiled = self.compile
        if compiled == "auto":
            compiled = seconds_in_numpy(sizes, X.shape[0], batch, epochs) > WORTH_COMPILING
        if not compiled:
            return any_size_module(architecture, self._optimizer()), False
        dtype = str(self.coefs_[0].dtype)
        made = compiled_module(architecture, sizes[0], sizes[-1], dtype, self._optimizer())
        return made, True

    def _params(self) -> dict[str, Array]:
        """Return copies of weights and biases under their names and in the shapes of kernels."""
        params: dict[str, Array] = {}
        for layer, (W, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True), start=1):
            params[f"W{layer}"] = np.array(W.T, order="C")
            params[f"b{layer}"] = np.array(b)
        return params

    def _keep(self, params: dict[str, Array]) -> None:
        layers = range(1, self.n_layers_)
        self.coefs_ = [np.array(params[f"W{layer}"].T, order="C") for layer in layers]
        self.intercepts_ = [params[f"b{layer}"].copy() for layer in layers]

    def _descend(
        self,
        X: Any,
        Y: Array,
        weights: Array | None,
        held: Any,
        random: Any,
        *,
        incremental: bool,
    ) -> None:
        """Train until an end is reached: as many epochs at once as cannot be too many."""
        samples, batch = X.shape[0], self._batch(X.shape[0])
        epochs = 1 if incremental else int(self.max_iter)
        module, compiled = self._module(X, batch, epochs)
        options: dict[str, Any] = {"momentum": float(self.momentum)}
        if self.solver == "adam":
            options = {"beta1": self.beta_1, "beta2": self.beta_2, "eps": self.epsilon}
        options |= {"alpha": float(self.alpha), "batch": batch}
        if compiled:
            X = _as_kernels_take(X, sparse=module_takes_rows(module))
            options |= {"threads": self.threads, "reuse": {}}
        elif hasattr(X, "tocsr"):
            X = X.tocsr()  # rows are taken
        params, index = self._params(), np.arange(samples)
        best = params if held is None else self._params()  # those with the best score
        convergence = self._convergence
        convergence.tol, convergence.patience = float(self.tol), float(self.n_iter_no_change)
        is_scheduled = self.solver == "sgd" and self.learning_rate == "invscaling"
        step_by_step = incremental or held is not None or self.verbose or is_scheduled
        self.n_iter_ = 0
        try:
            while self.n_iter_ < epochs:
                most = 1 if step_by_step else max(1, min(convergence.safe_epochs, epochs))
                count = int(min(most, epochs - self.n_iter_, max(1, _MOST_ORDERED // samples)))
                order = np.empty((count, samples), np.int64)
                for epoch in order:
                    index = index[random.permutation(samples)] if self.shuffle else index
                    epoch[:] = index
                losses = np.full(count, np.nan)
                try:
                    module.train(
                        params,
                        X,
                        Y,
                        weights=weights,
                        epochs=count,
                        eta=self._rate,
                        order=order,
                        state=self._state,
                        losses=losses,
                        **options,
                    )
                except KeyboardInterrupt:
                    # the kernels end with an epoch; a step in NumPy may be cut short
                    losses = losses[: int(np.isfinite(losses).sum())]
                    self._note(losses, samples, is_scored=held is not None)
                    raise
                self._note(losses, samples, is_scored=held is not None)
                if held is not None and self._note_score(params, held):
                    best = {name: array.copy() for name, array in params.items()}
                if is_scheduled:
                    self._set_rate(self.learning_rate_init / (self.t_ + 1) ** self.power_t)
                if convergence.is_enough and self._is_end():
                    break
                if self.n_iter_ == epochs and not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        self._keep(best)
        if compiled:
            keep_kernels(module)

    def _note(self, losses: Array, samples: int, *, is_scored: bool) -> None:
        """Keep the losses of some epochs."""
        for loss in losses.tolist():
            self.n_iter_ += 1
            self.t_ += samples
            self.loss_curve_.append(loss)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
            if not is_scored:
                self._convergence.note_loss(loss)
        if len(losses):
            self.loss_ = self.loss_curve_[-1]

    def _note_score(self, params: dict[str, Array], held: Any) -> bool:
        """Keep the validation score after an epoch; return whether it is the best."""
        X, Y, weights = held
        outputs = forward(self._architecture(), params, X, self._optimizer())
        is_finite = bool(np.isfinite(outputs).all())
        score = self._score_of(Y, outputs, weights) if is_finite else float("nan")
        assert self.validation_scores_ is not None
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        return self._convergence.note_score(score)

    def _set_rate(self, rate: float) -> None:
        """Change the learning rate, and let the velocity be what it was in the parameters' units.

        The kernels keep a sum of gradients, scikit-learn the sum times the rate of its time.
        """
        for array in self._state.values():
            array *= self._rate / rate
        self._rate = rate

    def _is_end(self) -> bool:
        """Say that there was no progress; return whether that is the end."""
        what = "Training loss" if self.validation_scores_ is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )
        is_adaptive = self.solver == "sgd" and self.learning_rate == "adaptive"
        if is_adaptive and self._rate > _LEAST_RATE:
            self._set_rate(self._rate / 5)
            self._convergence.count = 0
            message += f" Setting learning rate to {self._rate:f}"
        else:
            is_adaptive = False
            message += " Stopping."
        if self.verbose:
            print(message)
        return not is_adaptive

    # using

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs (B, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=_DTYPES, reset=False)
        params = {}
        for layer, (W, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True), start=1):
            params[f"W{layer}"], params[f"b{layer}"] = W.T, b
        return forward(self._architecture(), params, X, self._optimizer())

    def predict(self, X: Any) -> Array:
        """Return the class of each sample, or its targets."""
        return self._answers(self._outputs(X))

    @property
    def best_loss_(self) -> float | None:
        """The smallest loss of an epoch; None where a validation score decided."""
        return None if self.validation_scores_ is not None else self._convergence.best_loss

    @property
    def best_validation_score_(self) -> float | None:
        """The best validation score; None where no part was held out."""
        return self._convergence.best_score if self.validation_scores_ is not None else None


def _as_kernels_take(X: Any, *, sparse: bool) -> Any:
    """Return inputs as an array, or where kernels may be given them so as compressed rows."""
    if not sparse or not hasattr(X, "tocsr"):
        X = X.toarray() if hasattr(X, "toarray") else X
        return np.require(X, requirements=["C", "A", "W"])
    rows = X.tocsr()
    if not rows.has_canonical_format:  # columns in order, each once
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _checked_weights(weights: Any, X: Any) -> Array | None:
    """Return the weights of the samples in the inputs' type, or None.

    Raises
    ------
    InputError
        If one is negative, all are 0, or there are not as many as samples.
    """
    if weights is None:
        return None
    if isinstance(weights, Real):
        weights = np.full(X.shape[0], weights)
    checked: Array = check_array(
        weights, ensure_2d=False, dtype=X.dtype, order="C", copy=True, input_name="sample_weight"
    )
    if checked.shape != (X.shape[0],):
        raise InputError(
            f"sample_weight.shape == {checked.shape}, expected {(X.shape[0],)}: one a sample."
        )
    if (checked < 0).any():
        raise InputError("Negative values in data passed to `sample_weight`: expected none.")
    if not checked.any():
        raise InputError("sample_weight: all are zero; expected at least one sample that counts.")
    return checked


__all__ = ["NetworkEstimator"]
