"""The functions of the formula language in float64, and the constants of a formula.

What holds no variable is computed when a formula is read, in float64 and nowhere else:
``9**9**9`` is refused here at once, before a system with exact integers sees it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never, final

from derive.errors import InputError
from derive.formula_tree import (
    Binary,
    Call,
    Comparison,
    Definition,
    Formula,
    Name,
    Negative,
    Node,
    Number,
    chain,
)

LARGEST_EXPONENT = 1000


@final
@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments a function of the language takes, and its value in float64."""

    arity: int
    value: Callable[..., float]


def _sign(z: float) -> float:
    return float((z > 0) - (z < 0))


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


FUNCTIONS = {
    "exp": Function(1, math.exp),
    "log": Function(1, math.log),
    "log1p": Function(1, math.log1p),
    "expm1": Function(1, math.expm1),
    "sqrt": Function(1, math.sqrt),
    "tanh": Function(1, math.tanh),
    "sin": Function(1, math.sin),
    "cos": Function(1, math.cos),
    "tan": Function(1, math.tan),
    "atan": Function(1, math.atan),
    "sinh": Function(1, math.sinh),
    "cosh": Function(1, math.cosh),
    "erf": Function(1, math.erf),
    "abs": Function(1, abs),
    "sign": Function(1, _sign),
    "sigmoid": Function(1, _sigmoid),
    "max": Function(2, max),
    "min": Function(2, min),
}
"""Every function of the language but ``where`` and ``sum``, in the order they are listed."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
    "==": float.__eq__,
    "!=": float.__ne__,
}


def check_constants(formula: Formula) -> None:
    """Refuse a formula with a constant that cannot stand.

    Raises
    ------
    InputError
        If a constant part of it is not real and finite, a divisor is 0, a constant exponent
        is outside of [-1000, 1000], or a varying exponent has a base that is not positive.
    """
    _fold(formula.root, formula, {})


def constant_value(formula: Formula, values: Mapping[str, float]) -> float | None:
    """Return the value of a formula in float64 where `values` has all its variables, or None.

    Raises
    ------
    InputError
        As `check_constants`, if the value is not real and finite.
    """
    return _fold(formula.root, formula, values)


def _fold(node: Node, formula: Formula, values: Mapping[str, float]) -> float | None:
    """Return the value of a node if it is constant, having checked everything in it."""
    match node:
        case Number():
            return float(node.value)
        case Name():
            return math.pi if node.name == "pi" else values.get(node.name)
        case Negative():
            operand = _fold(node.operand, formula, values)
            return None if operand is None else -operand
        case Binary(operator="**"):
            left = _fold(node.left, formula, values)
            return _binary(node, left, _fold(node.right, formula, values), formula)
        case Binary():
            first, links = chain(node)
            value = _fold(first, formula, values)
            for link in links:
                value = _binary(link, value, _fold(link.right, formula, values), formula)
            return value
        case Comparison():
            left = _fold(node.left, formula, values)
            right = _fold(node.right, formula, values)
            if left is None or right is None:
                return None
            return float(_COMPARE[node.operator](left, right))
        case Call():
            arguments = [_fold(argument, formula, values) for argument in node.arguments]
            return _call(node, arguments, formula)
        case _:
            assert_never(node)


def _binary(
    node: Binary, left: float | None, right: float | None, formula: Formula
) -> float | None:
    refused = formula.source.refused
    if node.operator == "/" and right == 0:
        raise refused(node.right.at, "the divisor is 0")
    if node.operator == "**":
        if right is not None and abs(right) > LARGEST_EXPONENT:
            raise refused(
                node.right.at,
                f"the exponent is {right:.6g}. A constant exponent is between "
                f"-{LARGEST_EXPONENT} and {LARGEST_EXPONENT}",
            )
        if left == 0 and right is not None and right < 0:
            raise refused(node.left.at, "0 to a negative power divides by 0")
        if left is not None and left <= 0 and right is None:
            raise refused(
                node.left.at, "a base that is not positive has no real power for every exponent"
            )
        if left is not None and left < 0 and right is not None and not right.is_integer():
            raise refused(node.left.at, "this power of a negative number is not real")
    if left is None or right is None:
        return None
    value: float
    try:
        match node.operator:
            case "+":
                value = left + right
            case "-":
                value = left - right
            case "*":
                value = left * right
            case "/":
                value = left / right
            case _:
                value = left**right
    except OverflowError:
        value = math.inf
    return _finite(value, node, formula)


def _call(node: Call, arguments: list[float | None], formula: Formula) -> float | None:
    if node.function == "where":
        condition, *branches = arguments
        return None if condition is None else branches[0 if condition else 1]
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments) or node.function == "sum":
        return None
    if node.function in FUNCTIONS:
        try:
            value = FUNCTIONS[node.function].value(*known)
        except OverflowError:
            value = math.inf
        except ValueError:
            shown = ", ".join(f"{argument:.6g}" for argument in known)
            problem = f"{node.function}({shown}) is not a real and finite number"
            raise formula.source.refused(node.at, problem) from None
        return _finite(value, node, formula)
    return _call_own(node, known[0], formula)


def _call_own(node: Call, argument: float, formula: Formula) -> float | None:
    """Return the value of a function of the user's own; None if it is an activation's."""
    own: dict[str, Definition] = {d.name: d for d in formula.definitions}
    if node.function not in own:
        return None
    definition = own[node.function]
    try:
        return constant_value(definition.formula, {definition.parameter: argument})
    except InputError as error:
        problem = str(error).removeprefix(f"{definition.formula.source.what}: ").split(".\n")[0]
        raise formula.source.refused(
            node.at, f"{node.function}({argument:.6g}) has no value: {problem}"
        ) from None


def _finite(value: float, node: Node, formula: Formula) -> float:
    if not math.isfinite(value):
        raise formula.source.refused(
            node.at, "this constant is not finite in float64, which ends at 1.8e308"
        )
    return value
