"""How steep a function of one variable is: what carries an error of its argument on.

The derivative is sympy.diff's, here as everywhere.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import sympy
from sympy import Expr
from sympy.calculus.util import maximum, minimum, periodicity
from sympy.functions.elementary.trigonometric import TrigonometricFunction

from derive.evaluate import Array, Evaluator
from derive.program import base, index, scalar

T = scalar("t")


@cache
def steepness(function: Expr) -> Callable[[Array, Array, Array], Array]:
    """Return the largest ``|f'|`` over intervals, as a function of arrays.

    Parameters
    ----------
    function
        An expression in `T`. If its slope is periodic, the largest slope of all is taken;
        else it must be monotone on either side of 0, or of -1 (as that of log1p is), so that
        its largest value over an interval is at an end or there.

    Returns
    -------
    callable
        Takes a point of each interval, its lower end and its upper end.
    """
    derivative = sympy.diff(function, T)
    # asked only where something can be periodic: what asks loads SymPy's physical units
    can_repeat = derivative.has(TrigonometricFunction)
    period = periodicity(derivative, T) if can_repeat else None
    if period is not None and not function.has(sympy.tan):  # whose slope has no largest value
        there = sympy.Interval(0, period)
        largest = float(max(maximum(derivative, T, there), -minimum(derivative, T, there)))
        return lambda x, low, high: np.full(np.broadcast(x, low, high).shape, largest)
    indexed = derivative.xreplace({T: base("t")[index("at")]})

    def size(x: Array) -> Array:
        flat = Evaluator({"t": x.reshape(-1)}, {}, x.dtype, {})(indexed)
        value: Array = np.abs(np.broadcast_to(flat.array, x.size))
        return value.reshape(x.shape)

    def steepest(x: Array, low: Array, high: Array) -> Array:
        points = (x, low, high, np.clip(0, low, high), np.clip(-1, low, high))
        found: Array = np.maximum.reduce([size(point) for point in points])
        return found

    return steepest
