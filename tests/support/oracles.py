"""Comparison of derived programmes with autograd, and torch's view of a SymPy formula."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy
import torch
from catalogue import named, stable_gradient
from sympy import Expr

from derive.error_bound import evaluate_with_bound
from derive.evaluate import evaluate
from derive.program import ONE_HOT, Program
from derive.spec import NetworkSpec
from runtime.check_cases import Case, ordinary_case
from runtime.torch_oracle import loss_and_gradients, names_of, oracle_loss

_FUNCTIONS = {
    sympy.exp: torch.exp,
    sympy.log: torch.log,
    sympy.tanh: torch.tanh,
    sympy.sin: torch.sin,
    sympy.cos: torch.cos,
    sympy.atan: torch.atan,
}


def torch_value(expression: Expr, values: Mapping[Expr, torch.Tensor]) -> torch.Tensor:
    """Compute a scalar formula on tensors, so that autograd can differentiate it."""
    if expression in values:
        return values[expression]
    if expression.is_number:
        return torch.tensor(float(expression), dtype=torch.float64)
    parts = [torch_value(part, values) for part in expression.args if not part.is_Relational]
    if expression.is_Add:
        return sum(parts[1:], parts[0])
    if expression.is_Mul:
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return product
    if expression.is_Pow:
        return parts[0] ** float(expression.exp)
    if expression.func in _FUNCTIONS:
        return _FUNCTIONS[expression.func](*parts)
    raise NotImplementedError(f"{expression.func} in {expression}")


def shapes_of(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's parameters."""
    pairs = zip(spec.sizes[1:], spec.sizes[:-1], strict=True)
    shapes = [shape for n, m in pairs for shape in ((int(n), int(m)), (int(n),))]
    return dict(zip(names_of(spec), shapes, strict=True))


def draw_case(spec: NetworkSpec, batch: int, seed: int, dtype: str = "float64") -> Case:
    """Draw parameters, inputs and targets for a network."""
    used = ONE_HOT in stable_gradient(named(spec)).assumptions
    return ordinary_case(
        spec,
        shapes_of(spec),
        batch=batch,
        seed=seed,
        dtype=dtype,
        rows_sum_to_one=used or spec.loss == "cross-entropy",
    )


def autograd_hvp(
    spec: NetworkSpec, case: Case, direction: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the Hessian times a direction by differentiating autograd's gradient again."""
    given = {name: torch.tensor(array).requires_grad_() for name, array in case.params.items()}
    loss = oracle_loss(spec, given, torch.tensor(case.X), torch.tensor(case.Y))
    tensors = list(given.values())
    gradients = torch.autograd.grad(loss, tensors, create_graph=True, allow_unused=True)
    along = sum(
        (gradient * torch.tensor(direction[name])).sum()
        for name, gradient in zip(given, gradients, strict=True)
        if gradient is not None
    )
    if not isinstance(along, torch.Tensor) or not along.requires_grad:
        return {name: np.zeros_like(array) for name, array in case.params.items()}
    found = torch.autograd.grad(along, tensors, allow_unused=True)
    return {
        name: np.zeros(tuple(tensor.shape)) if product is None else product.numpy()
        for (name, tensor), product in zip(given.items(), found, strict=True)
    }


@dataclass(frozen=True)
class Departure:
    """How far a result is from autograd's: in bounds, and relative to the largest entry."""

    in_bounds: float  # more than 1, or NaN: they differ
    relative_error: float
    relative_bound: float


class Oracle:
    """Autograd's loss and gradients for a case, and how far others may be from them.

    Parameters
    ----------
    spec, case
        The network, and numbers for it.
    program
        The programme that others compute.
    dtype
        The type in which they do.
    """

    def __init__(
        self, spec: NetworkSpec, case: Case, program: Program, dtype: str = "float64"
    ) -> None:
        self.case, self.dtype = case, dtype
        loss, gradients = loss_and_gradients(spec, case.params, case.X, case.Y)
        self.values = {"loss": np.asarray(loss), **gradients}
        own = evaluate_with_bound(program, case.values(), dtype)
        # PyTorch's formulas are those of the stable form, and round as that does
        theirs = evaluate_with_bound(stable_gradient(named(spec)), case.values(), "float64")
        self.bounds = {
            name: own[statement][1] + theirs[statement][1]
            for name, statement in {"loss": "loss", **program.gradients}.items()
        }

    def departures(self, program: Program) -> dict[str, Departure]:
        """Evaluate a programme, and compare its loss and the gradient in each parameter."""
        computed = evaluate(program, self.case.values(), dtype=self.dtype)
        return {
            name: self._departure(name, computed[statement])
            for name, statement in {"loss": "loss", **program.gradients}.items()
        }

    def agrees(self, program: Program) -> bool:
        """Whether loss and gradients are all within their bounds; NaN is not."""
        return all(found.in_bounds <= 1 for found in self.departures(program).values())

    def _departure(self, name: str, computed: np.ndarray) -> Departure:
        value, bound = self.values[name], self.bounds[name]
        scale = float(np.abs(value).max()) or 1.0
        with np.errstate(all="ignore"):
            off = np.abs(computed.astype(np.float64) - value)
            # where nothing can be said of a value, any but NaN is within its bound
            in_bounds = np.where((off == 0) | (np.isinf(bound) & (off >= 0)), 0.0, off / bound)
        return Departure(
            in_bounds=float(in_bounds.max()),
            relative_error=float(off.max()) / scale,
            relative_bound=float(bound.max()) / scale,
        )
