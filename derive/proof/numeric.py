"""Rung 4: numbers. Float64 against tangents of 50 digits, within a running error bound.

What is judged is the programme in the form that is computed (`derive.stable_program`),
evaluated in float64; the judge follows the definitions forward in 50 digits, without their
rewriting, and knows nothing of either.
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, final

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, Symbol

from derive.error_bound import evaluate_with_bound
from derive.errors import InternalError
from derive.evaluate import evaluate
from derive.program import ONE_HOT, Program
from derive.proof.attempt import Verdict, left_out
from derive.proof.claim import Claim
from derive.proof.explicit import Explicit, small_sizes
from derive.proof.modular import ends, wanted_gradients
from derive.proof.prime import NoSuchPointError
from derive.proof.reach import OutOfReachError
from derive.proof.tangent import Dual, Entries, Tangents, Terms
from derive.stable import stable_program

RUNG = "numeric"
MOST_ENTRIES = 5_000  # of all tensors together
MOST_SINGLE = 200  # entries of gradients up to which each is compared by itself
DIGITS = 50
WIDEST = 1e-3  # relative tolerance up to which agreement says something
_SEED = 50
_SCALES: tuple[Callable[[NDArray[Any]], NDArray[Any]], ...] = (
    lambda drawn: drawn,
    np.abs,  # for a loss that takes logarithms of what a layer gives
    lambda drawn: np.abs(drawn) / 10,
)
_FUNCTIONS = ("exp", "log", "tanh", "sinh", "cosh", "sin", "cos", "tan", "atan", "asinh", "erf")


def numeric_check(program: Program, sizes: dict[Symbol, int] | None = None) -> tuple[Claim, ...]:
    """Check every gradient of a programme in float64.

    Parameters
    ----------
    program
        A gradient programme, rewritten or not, before its stable form.
    sizes
        Numbers to use for the sizes that are names.

    Returns
    -------
    tuple of Claim
        One for each parameter, and for each input that is differentiated; a single one, not
        attempted, where something is out of reach.
    """
    explicit = Explicit(program, small_sizes(program) if sizes is None else sizes)
    wanted = wanted_gradients(program)
    if explicit.count() > MOST_ENTRIES:
        return (left_out(RUNG, wanted.values(), f"more than {MOST_ENTRIES} entries"),)
    try:
        stable = stable_program(program)
        for draw, scale in enumerate(_SCALES):
            try:
                case = _Case(explicit, wanted, _drawn(explicit, scale, _SEED + draw))
            except NoSuchPointError:
                continue
            return tuple(case.claims(stable))
    except InternalError as error:  # a function that numbers or bounds do not know
        return (left_out(RUNG, wanted.values(), str(error)),)
    return (left_out(RUNG, wanted.values(), "no point was found where it is a real number"),)


def _drawn(
    explicit: Explicit, scale: Callable[[NDArray[Any]], NDArray[Any]], seed: int
) -> dict[str, NDArray[Any]]:
    """Draw the inputs; the rows of Y are between 0 and 1, and sum to 1."""
    generator = np.random.default_rng(seed)
    drawn = {}
    for tensor in explicit.program.inputs:
        shape = explicit.shape(tensor)
        if tensor.name == "Y":
            labels = generator.uniform(0.1, 0.9, shape)
            needed = ONE_HOT in explicit.program.assumptions
            drawn["Y"] = labels / labels.sum(axis=1, keepdims=True) if needed else labels
        else:
            drawn[tensor.name] = scale(generator.normal(size=shape))
    return drawn


@final
class _Case:
    """One set of numbers, and the slopes there."""

    def __init__(
        self, explicit: Explicit, wanted: dict[str, str], values: dict[str, NDArray[Any]]
    ) -> None:
        start = perf_counter()
        self.explicit, self.wanted, self.values = explicit, wanted, values
        digits = _Digits()
        self.directions = self._chosen()
        given: dict[str, Entries] = {}
        for tensor in explicit.program.inputs:
            given[tensor.name] = {
                place: (digits.real(values[tensor.name][place]), self._slopes(tensor.name, place))
                for place in explicit.places(tensor)
            }
        forward = Tangents(explicit, digits, given)
        forward.run(explicit.program.forward)
        total: Any = np.zeros(len(self.directions), dtype=object)
        for end in ends(explicit.program):
            for place, (_, slope) in forward.known[end].items():
                if slope is not None:
                    total = total + slope * (
                        given[f"d{end}"][place][0] if f"d{end}" in given else 1
                    )
        self.slopes = total
        self.seconds = perf_counter() - start

    def _chosen(self) -> list[tuple[str, NDArray[Any]]]:
        """Return the directions: along each entry where these are few, else one a tensor."""
        shapes = {name: self.explicit.shape(self.explicit.tensors[name]) for name in self.wanted}
        self.single = sum(int(np.prod(shape)) for shape in shapes.values()) <= MOST_SINGLE
        generator = np.random.default_rng(_SEED)
        chosen: list[tuple[str, NDArray[Any]]] = []
        for name, shape in shapes.items():
            if not self.single:
                chosen.append((name, generator.choice([-1.0, 1.0], size=shape)))
                continue
            for place in np.ndindex(shape):
                direction = np.zeros(shape)
                direction[place] = 1.0
                chosen.append((name, direction))
        return chosen

    def _slopes(self, name: str, place: tuple[int, ...]) -> Any:
        if name not in self.wanted:
            return None
        own = [float(d[place]) if of == name else 0.0 for of, d in self.directions]
        return np.array([int(x) for x in own], dtype=object)

    def claims(self, stable: Program) -> Iterator[Claim]:
        start = perf_counter()
        bounds = evaluate_with_bound(stable, self.values, np.float64)
        found = evaluate(stable, self.values, dtype=np.float64)
        seconds = (perf_counter() - start + self.seconds) / max(1, len(self.wanted))
        how = "each entry" if self.single else "the slope along a random direction"
        method = f"{how} in float64 against forward tangents of {DIGITS} digits"
        for name, gradient in self.wanted.items():
            right, tolerance = True, 0.0
            for (of, direction), slope in zip(self.directions, self.slopes, strict=True):
                if of == name:
                    moved = [(p, int(direction[p])) for p in np.ndindex(direction.shape)]
                    here = [(found[gradient][p], sign) for p, sign in moved if sign]
                    total = sum(mpmath.mpf(float(value)) * sign for value, sign in here)
                    bound = float((np.abs(direction) * bounds[gradient][1]).sum())
                    # so that NaN does not pass
                    right = right and bool(abs(total - slope) <= bound)
                    tolerance = max(tolerance, bound)
            tolerance /= float(np.abs(found[gradient]).max()) or 1.0
            status, reason = _verdict(right, tolerance)
            yield Claim(
                claim=f"{gradient} in float64 is the slope in {name} within its error bound",
                method=method,
                status=status,
                rung=RUNG,
                about=gradient,
                sizes=self.explicit.sizes_text(),
                reason=reason,
                error_bound=tolerance,
                seconds=seconds,
            )


def _verdict(right: bool, tolerance: float) -> Verdict:
    if not right:
        return "failed", "further off than rounding explains"
    if not tolerance <= WIDEST:
        return "not attempted", f"rounding alone may be off by more than {WIDEST:.0e} here"
    return "checked", ""


@final
class _Digits:
    """Real numbers of many digits."""

    ordered = True

    def __init__(self) -> None:
        self.context = mpmath.MPContext()
        self.context.dps = DIGITS

    def real(self, value: float) -> Any:
        """Return a floating-point number, exactly."""
        return self.context.mpf(float(value))

    def constant(self, number: Expr) -> Any:
        """Return a real constant."""
        if number.is_Rational:
            return self.context.mpf(int(number.p)) / int(number.q)
        if number.is_number and number.is_real:
            return self.context.mpf(str(number.evalf(DIGITS + 10)))
        raise OutOfReachError(f"{number} is not a real number")

    def reduced(self, value: Any) -> Any:
        """Return the value."""
        return value

    def inverse(self, value: Any) -> Any:
        """Return one over a value."""
        if value == 0:
            raise NoSuchPointError
        return 1 / value

    def root(self, value: Any, degree: int) -> Any:
        """Return the root of a positive number."""
        if value <= 0:
            raise NoSuchPointError
        return self.context.root(value, degree)

    def function(self, function: type[Expr], terms: Terms) -> Any:
        """Return a function of a sum."""
        argument = sum(self.constant(number) * value for number, value in terms)
        name = function.__name__
        if name not in _FUNCTIONS:
            raise OutOfReachError(f"{name} is not known in numbers")
        if function is sympy.log and argument <= 0:
            raise NoSuchPointError
        return getattr(self.context, name)(argument)

    def above(self, value: Any) -> int:
        """Return 1 where a value is above 0, and 0 elsewhere."""
        return int(value > 0)

    def select(self, truth: Any, then: Callable[[], Dual], otherwise: Callable[[], Dual]) -> Dual:
        """Return the one or the other; what is not taken is not computed."""
        return then() if truth else otherwise()
