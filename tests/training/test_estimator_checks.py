"""scikit-learn's own checks of an estimator, all of them, with no failure expected."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from runtime.estimators import NetworkClassifier, NetworkRegressor

# more than a tenth of a second each, and much like others: with -m slow
COSTLY = {
    "check_classifiers_classes",
    "check_classifiers_regression_target",
    "check_classifiers_train",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimators_dtypes",
    "check_fit_score_takes_y",
    "check_regressor_data_not_an_array",
    "check_regressors_train",
    "check_sample_weight_equivalence_on_sparse_data",
}
# what scikit-learn leaves out for MLPClassifier too: another interface, or SCIPY_ARRAY_API unset
LEFT_OUT = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}


def cases() -> Iterator[Any]:
    seen = set(COSTLY)
    for kind in (NetworkClassifier, NetworkRegressor):
        known = seen.copy()  # by default the regressor has those checks that are its own
        for estimator, check in estimator_checks_generator(kind()):
            name = (check.func if isinstance(check, partial) else check).__name__
            slow = [pytest.mark.slow] if name in known else []
            seen.add(name)
            yield pytest.param(estimator, check, name, marks=slow, id=f"{kind.__name__}-{name}")


@pytest.mark.parametrize(("estimator", "check", "name"), list(cases()))
@pytest.mark.filterwarnings("ignore::Warning")  # scikit-learn's checks warn of what they try
def test_scikit_learn_is_content(estimator: Any, check: Callable[[Any], None], name: str) -> None:
    try:
        check(estimator)
    except pytest.skip.Exception:
        assert name in LEFT_OUT
        raise
    except Exception as error:
        if type(error).__name__ != "SkipTest":
            raise
        assert name in LEFT_OUT


def test_no_check_is_missing() -> None:
    names = [case.values[2] for case in cases()]
    assert len(names) > 100
    assert set(names) > COSTLY
