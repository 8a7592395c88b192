"""The estimators against scikit-learn's own: same start, order and settings, same curve."""

import inspect
import io
import itertools
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from uncompiled import uncompiled

import codegen
from runtime.estimators import NetworkClassifier, NetworkRegressor, base, from_sklearn, to_sklearn
from runtime.estimators.kernels import WORTH_COMPILING, compiled_module, seconds_in_numpy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TAKES_WEIGHTS = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters  # from 1.7 on

BLOBS = make_blobs(90, 3, centers=3, cluster_std=4.0, random_state=0)
MOONS = make_moons(100, noise=0.2, random_state=0)
LABELS = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
WAVE = np.linspace(-2, 2, 70)[:, None], np.sin(np.linspace(-2, 2, 70))
COUNTS = np.arange(90) % 3

# data, sample weights and settings that reach every branch of MLPClassifier's training
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "softmax by adam": (BLOBS, None, {"batch_size": 40}),
    "weights and penalty": (BLOBS, COUNTS, {"batch_size": 20, "alpha": 0.5, "max_iter": 20}),
    "validation": (
        BLOBS,
        None,
        {"early_stopping": True, "n_iter_no_change": 4, "learning_rate_init": 0.02},
    ),
    "until no progress": (BLOBS, None, {"learning_rate_init": 0.05, "tol": 0.01, "max_iter": 300}),
    "two classes, logistic units": (
        MOONS,
        None,
        {"activation": "logistic", "hidden_layer_sizes": (6, 5), "learning_rate_init": 0.01},
    ),
    "labels": (LABELS, None, {"shuffle": False}),
    "nesterov, rate falls with time": (
        BLOBS,
        None,
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2, "batch_size": 30},
    ),
    "momentum, rate falls with progress": (
        MOONS,
        None,
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "nesterovs_momentum": False,
            "learning_rate_init": 0.3,
            "n_iter_no_change": 2,
            "tol": 0.01,
        },
    ),
}


@pytest.mark.parametrize(("data", "weights", "settings"), CASES.values(), ids=CASES)
def test_the_curve_is_that_of_mlp_classifier(data: Any, weights: Any, settings: Any) -> None:
    if weights is not None and not TAKES_WEIGHTS:
        pytest.skip("this scikit-learn's MLPClassifier takes no weights")
    settings = {"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 3, **settings}
    given = {} if weights is None else {"sample_weight": weights}
    ours = NetworkClassifier(**settings, compile=False).fit(*data, **given)
    theirs = MLPClassifier(**settings).fit(*data, **given)
    assert_same(ours, theirs)
    np.testing.assert_allclose(ours.predict_proba(data[0]), theirs.predict_proba(data[0]))
    assert (ours.predict(data[0]) == theirs.predict(data[0])).all()
    assert ours.validation_scores_ == theirs.validation_scores_


def assert_same(ours: Any, theirs: Any) -> None:
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    for one, other in zip(
        (*ours.coefs_, *ours.intercepts_), (*theirs.coefs_, *theirs.intercepts_), strict=True
    ):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.long
def test_compiled_kernels_give_the_same_curve() -> None:
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (4,),
        "solver": "sgd",
        "learning_rate_init": 0.05,
        "batch_size": 32,  # and a last batch of 6
        "alpha": 0.1,
        "max_iter": 25,
        "random_state": 0,
    }
    X = np.hstack([WAVE[0], WAVE[0] ** 2])
    theirs = MLPRegressor(**settings).fit(X, WAVE[1])
    compiled = NetworkRegressor(**settings, compile=True, threads=2).fit(X, WAVE[1])
    assert_same(compiled, theirs)
    assert_same(NetworkRegressor(**settings, compile=False).fit(X, WAVE[1]), theirs)
    # a penalty that is forgotten shows
    other = NetworkRegressor(**{**settings, "alpha": 0.0}, compile=True).fit(X, WAVE[1])
    assert other.loss_curve_[0] < compiled.loss_curve_[0] - 0.005
    # weights count in compiled kernels, too: twice is as good as two of them, in one batch
    settings |= {"batch_size": 140, "shuffle": False}
    with pytest.warns(UserWarning, match="clipped"):
        heavy = NetworkRegressor(**settings, compile=True).fit(X, WAVE[1], np.arange(70) % 3)
    counts = np.repeat(np.arange(70), np.arange(70) % 3)
    with pytest.warns(UserWarning, match="clipped"):
        twice = NetworkRegressor(**settings, compile=True).fit(X[counts], WAVE[1][counts])
    np.testing.assert_allclose(heavy.loss_curve_, twice.loss_curve_, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_compiled_kernels_give_the_curve_of_mlp_classifier(name: str) -> None:
    data, weights, settings = CASES[name]
    settings = {"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 3, **settings}
    given = {"sample_weight": weights} if TAKES_WEIGHTS else {}
    ours = NetworkClassifier(**settings, compile=True).fit(*data, **given)
    assert_same(ours, MLPClassifier(**settings).fit(*data, **given))


def test_fits_follow_one_another_as_in_scikit_learn() -> None:
    settings = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    ours, theirs = NetworkClassifier(**settings), MLPClassifier(**settings)
    for part in (slice(0, 40), slice(40, 90), slice(0, 60)):
        X, y = BLOBS[0][part], BLOBS[1][part]
        ours.partial_fit(X, y, classes=[0, 1, 2])
        theirs.partial_fit(X, y, classes=[0, 1, 2])
        assert_same(ours, theirs)
    for model in (ours, theirs):
        model.set_params(warm_start=True).fit(*BLOBS)
        model.fit(*BLOBS)
    assert_same(ours, theirs)
    with pytest.raises(ValueError, match=r"fitted with the sizes 3-8-3.* ask for 3-9-3"):
        ours.set_params(hidden_layer_sizes=(9,)).fit(*BLOBS)


def test_a_fit_depends_on_the_seed_alone() -> None:
    first, second = (NetworkClassifier((8,), max_iter=9, random_state=1).fit(*BLOBS) for _ in "12")
    assert first.loss_curve_ == second.loss_curve_
    other = NetworkClassifier((8,), max_iter=9, random_state=2).fit(*BLOBS)
    assert first.loss_curve_ != other.loss_curve_


def test_formulas_of_ones_own() -> None:
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (8,),
        "max_iter": 20,
        "random_state": 0,
    }
    known = NetworkClassifier(activation="relu", **settings).fit(*BLOBS)
    written = NetworkClassifier(
        activation="mine(z) = twice(z)/2",
        define=["twice(z) = where(z > 0, 2*z, 0)"],
        loss="-sum(Y*log(P))",
        **settings,
    ).fit(*BLOBS)
    np.testing.assert_allclose(written.loss_curve_, known.loss_curve_, rtol=1e-12)
    assert (written.predict(BLOBS[0]) == known.predict(BLOBS[0])).all()
    np.testing.assert_allclose(written.predict_proba(BLOBS[0]).sum(axis=1), 1)
    hinge = NetworkClassifier(loss="hinge", learning_rate_init=0.05, **settings).fit(*MOONS)
    assert hinge.n_outputs_ == 2
    assert not hasattr(hinge, "predict_proba")
    assert hinge.score(*MOONS) > 0.6


def test_estimators_are_at_home_in_pipelines_frames_and_searches() -> None:
    X = pd.DataFrame(BLOBS[0], columns=["a", "b", "c"])
    y = pd.Series(BLOBS[1]).map({0: "low", 1: "mid", 2: "high"})
    model = NetworkClassifier((8,), max_iter=30, learning_rate_init=0.05, random_state=0)
    line = make_pipeline(StandardScaler().set_output(transform="pandas"), model)
    search = GridSearchCV(line, {"networkclassifier__alpha": [1e-4, 1.0]}, cv=2).fit(X, y)
    best = search.best_estimator_[-1]
    assert list(best.feature_names_in_) == ["a", "b", "c"]
    assert list(best.classes_) == ["high", "low", "mid"]
    assert search.score(X, y) > 0.7


def test_a_fitted_estimator_is_pickled_as_arrays() -> None:
    model = NetworkClassifier((8,), max_iter=5, random_state=0, warm_start=True).fit(*BLOBS)
    written = pickle.dumps(model)
    assert b"gradwright_" not in written  # the name of an emitted module

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            assert module.partition(".")[0] in {"runtime", "sklearn", "numpy"}
            return super().find_class(module, name)

    again = Reader(io.BytesIO(written)).load()
    assert (again.predict_proba(BLOBS[0]) == model.predict_proba(BLOBS[0])).all()
    assert again.fit(*BLOBS).loss_curve_ == model.fit(*BLOBS).loss_curve_
    assert not hasattr(clone(model), "coefs_")


@pytest.mark.parametrize("made", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_inputs_are_as_dense_ones(made: Any) -> None:
    X = np.where(BLOBS[0] > 0, BLOBS[0], 0)
    settings: dict[str, Any] = {"max_iter": 10, "random_state": 0, "early_stopping": True}
    dense = NetworkClassifier((8,), **settings).fit(X, BLOBS[1])
    sparse = NetworkClassifier((8,), **settings).fit(made(X), BLOBS[1])
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(sparse.predict_proba(made(X)), dense.predict_proba(X))


def test_kernels_of_wide_networks_take_sparse_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """By kernels that Python runs: the bits are those of the same inputs as an array."""
    monkeypatch.setattr(codegen, "compile_module", lambda source: uncompiled(source.text))
    monkeypatch.setattr(base, "keep_kernels", lambda module: None)
    taken: list[Any] = []
    monkeypatch.setattr(base, "compiled_module", compiled_module.__wrapped__)
    require = base._as_kernels_take
    monkeypatch.setattr(
        base, "_as_kernels_take", lambda *X, **way: taken.append(require(*X, **way)) or taken[-1]
    )
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 40)) * (rng.random((30, 40)) < 0.1)
    rows = scipy.sparse.csr_array(X)
    turned = rows.copy()
    for begin, end in itertools.pairwise(turned.indptr):
        for kept in (turned.indices, turned.data):
            kept[begin:end] = kept[begin:end][::-1].copy()
    turned.has_sorted_indices = False
    before = turned.indices.copy()
    losses = []
    for given in (X, rows, scipy.sparse.csc_matrix(X), turned):
        settings: dict[str, Any] = {"max_iter": 2, "random_state": 0, "compile": True}
        model = NetworkClassifier((33,), batch_size=10, **settings)
        losses.append(model.fit(given, np.arange(30) % 3).loss_curve_)
    assert losses[1:] == losses[:1] * 3
    assert [scipy.sparse.issparse(each) for each in taken] == [False, True, True, True]
    np.testing.assert_array_equal(turned.indices, before)  # the user's own


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "lbfgs": ({"solver": "lbfgs"}, "solver='lbfgs' is not supported: .* Use 'adam' or 'sgd'"),
    "solver": ({"solver": "rmsprop"}, "solver='rmsprop' cannot be used. Expected 'adam' or 'sgd'"),
    "negative": ({"alpha": -1}, "alpha=-1 cannot be used. Expected a number from 0"),
    "text": ({"max_iter": "9"}, "max_iter='9' cannot be used. Expected a whole number from 1"),
    "sizes": ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \(3, 0\)"),
    "activation": ({"activation": "rely"}, '"rely" is not known. Did you mean "relu"'),
    "formula": ({"activation": "f(z) = z +"}, "f.z. = z +"),
    "loss": ({"loss": "focal"}, 'loss: "focal" is not known'),
    "early": ({"early_stopping": 2}, "early_stopping=2 cannot be used. Expected True or False"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_in_words(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(**settings).fit(*BLOBS)


def test_refuses_weights_that_cannot_be() -> None:
    model = NetworkClassifier((8,), max_iter=2)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        model.fit(*BLOBS, sample_weight=-COUNTS)
    with pytest.raises(ValueError, match="all are zero"):
        model.fit(*BLOBS, sample_weight=0 * COUNTS)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        NetworkRegressor((8,), solver="sgd", learning_rate_init=1e200).fit(*WAVE)


def test_ctrl_c_keeps_what_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    real = base.any_size_module

    def interrupted(*given: Any) -> Any:
        module = real(*given)
        calls = []

        def train(*args: Any, **options: Any) -> None:
            calls.append(module.train(*args, **options))
            if len(calls) == 2:
                raise KeyboardInterrupt

        return SimpleNamespace(train=train, forward=module.forward)

    monkeypatch.setattr(base, "any_size_module", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = NetworkClassifier((8,), n_iter_no_change=4, random_state=0).fit(*BLOBS)
    assert model.n_iter_ == len(model.loss_curve_) == 10  # two calls of five epochs
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_says_that_it_has_not_converged() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        NetworkClassifier((8,), max_iter=2).fit(*BLOBS)


def test_prints_what_scikit_learn_prints(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0, "verbose": True}
    NetworkClassifier(**settings, early_stopping=True).fit(*BLOBS)
    ours = capsys.readouterr().out
    MLPClassifier(**settings, early_stopping=True).fit(*BLOBS)
    assert ours == capsys.readouterr().out


def test_small_fits_are_not_compiled_and_large_ones_are() -> None:
    iris = seconds_in_numpy((4, 100, 3), samples=150, batch=150, epochs=200)
    digits = seconds_in_numpy((64, 100, 10), samples=1797, batch=200, epochs=200)
    mnist = seconds_in_numpy((784, 100, 10), samples=60_000, batch=200, epochs=10)
    assert iris < WORTH_COMPILING < digits < mnist


@pytest.mark.parametrize("data", [BLOBS, MOONS, LABELS], ids=["softmax", "logistic", "labels"])
def test_a_round_trip_through_mlp_classifier_is_exact(data: Any) -> None:
    theirs = MLPClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(*data)
    ours = from_sklearn(theirs)
    np.testing.assert_allclose(ours.predict_proba(data[0]), theirs.predict_proba(data[0]))
    again = to_sklearn(ours)
    assert (again.predict_proba(data[0]) == theirs.predict_proba(data[0])).all()
    assert again.get_params() == theirs.get_params()
    assert {n for n in vars(theirs) if n.endswith("_")} <= set(dir(again))
    for part in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(again, part), getattr(theirs, part), strict=True):
            assert (one == other).all()
            assert not np.shares_memory(one, other)
    # both learn on, alike: their optimisers begin anew
    for model in (ours, again):
        model.partial_fit(*data)
    np.testing.assert_allclose(ours.loss_curve_, again.loss_curve_)


@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")  # scikit-learn 1.6's
def test_a_round_trip_through_mlp_regressor_is_exact() -> None:
    theirs = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=50, random_state=0).fit(
        *WAVE
    )
    ours = from_sklearn(theirs)
    np.testing.assert_allclose(ours.predict(WAVE[0]), theirs.predict(WAVE[0]))
    assert (to_sklearn(ours).predict(WAVE[0]) == theirs.predict(WAVE[0])).all()
    with pytest.raises(ValueError, match="StandardScaler cannot be taken over"):
        from_sklearn(StandardScaler())
    own = NetworkRegressor((8,), max_iter=2).fit(*WAVE).set_params(activation="sin")
    with pytest.raises(ValueError, match="activation='sin' cannot be handed over"):
        to_sklearn(own)


def test_several_targets_follow_the_gradient_of_their_sum() -> None:
    X, Y = WAVE[0], np.column_stack([WAVE[1], WAVE[1] ** 2])
    settings = {"hidden_layer_sizes": (8,), "max_iter": 10, "random_state": 0, "alpha": 0.0}
    ours = NetworkRegressor(**settings).fit(X, Y)
    theirs = MLPRegressor(**settings).fit(X, Y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    # scikit-learn reports the mean over the targets, whose gradient it does not take
    np.testing.assert_allclose(ours.loss_curve_, 2 * np.array(theirs.loss_curve_), rtol=1e-9)


def test_without_scikit_learn_one_line_names_the_extra() -> None:
    program = "import sys; sys.modules['sklearn'] = None; import runtime.estimators"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert "scikit-learn is not installed" in last
    assert "pip install 'gradwright[sklearn]'" in last
