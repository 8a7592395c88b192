"""What an estimator's parameters may be, and messages that say so."""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from runtime.errors import InputError

SOLVERS = ("adam", "sgd")
LEARNING_RATES = ("constant", "invscaling", "adaptive")


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    def fits(value: Any) -> bool:
        return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least

    return fits, f"a whole number from {least}"


def _number(
    least: float, most: float = math.inf, *, above: bool = False, below: bool = False
) -> tuple[Callable[[Any], bool], str]:
    """Return a test for a finite number from `least` to `most`, and it in words."""

    def fits(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        number = float(value)
        high_enough = number > least if above else number >= least
        return high_enough and (number < most if below else number <= most)

    words = f"a number {'above' if above else 'from'} {least:g}"
    if most < math.inf:
        words += f" and below {most:g}" if below else f" to {most:g}"
    return fits, words


def _one_of(*names: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: isinstance(value, str) and value in names), " or ".join(map(repr, names))


def _flag() -> tuple[Callable[[Any], bool], str]:
    import numpy as np

    return (lambda value: isinstance(value, bool | np.bool_)), "True or False"


def _or(
    value: object, rule: tuple[Callable[[Any], bool], str]
) -> tuple[Callable[[Any], bool], str]:
    fits, words = rule
    return (lambda given: is_same(given, value) or fits(given)), f"{value!r} or {words}"


def is_same(given: object, value: object) -> bool:
    """Whether a parameter has a value that is no number; never compares arrays."""
    return given is value or (type(given) is type(value) and bool(given == value))


RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "alpha": _number(0),
    "batch_size": _or("auto", _whole(1)),
    "learning_rate": _one_of(*LEARNING_RATES),
    "learning_rate_init": _number(0, above=True),
    "power_t": _number(0),
    "max_iter": _whole(1),
    "shuffle": _flag(),
    "tol": _number(0),
    "verbose": _or(False, _or(True, _whole(0))),
    "warm_start": _flag(),
    "momentum": _number(0, 1),
    "nesterovs_momentum": _flag(),
    "early_stopping": _flag(),
    "validation_fraction": _number(0, 1, above=True, below=True),
    "beta_1": _number(0, 1, below=True),
    "beta_2": _number(0, 1, below=True),
    "epsilon": _number(0, above=True),
    "n_iter_no_change": _or(math.inf, _whole(1)),
    "compile": _or("auto", _flag()),
    "threads": _or(None, _whole(1)),
}


def check_parameters(estimator: Any) -> None:
    """Refuse a parameter that is out of its range.

    Raises
    ------
    InputError
        Which is a ValueError; it names the parameter, its value and what was expected.
    """
    if is_same(estimator.solver, "lbfgs"):
        raise InputError(
            "solver='lbfgs' is not supported: it needs the gradient of all samples at once, and "
            "the kernels train by batches. Use 'adam' or 'sgd', or MLPClassifier."
        )
    for name, (fits, words) in {"solver": _one_of(*SOLVERS), **RULES}.items():
        value = getattr(estimator, name)
        if not fits(value):
            raise InputError(f"{name}={value!r} cannot be used. Expected {words}.")


def hidden_sizes(given: Any) -> tuple[int, ...]:
    """Return the sizes of the hidden layers: of one number, a layer of that size.

    Raises
    ------
    InputError
        If one is not a whole number from 1.
    """
    sizes = list(given) if hasattr(given, "__iter__") and not isinstance(given, str) else [given]
    fits, words = _whole(1)
    if not all(fits(size) for size in sizes):
        raise InputError(f"hidden_layer_sizes must be > 0, got {given!r}. Expected {words} each.")
    return tuple(map(int, sizes))
