"""A module with an emitted module's interface that only evaluates the derived programme."""

from typing import Any

import numpy as np
from catalogue import stable_gradient
from oracles import shapes_of

from derive.evaluate import evaluate
from derive.program import Program
from derive.spec import NetworkSpec


class EvaluatedModule:
    """Kernels by `derive.evaluate`, of the stable programme or of another one."""

    def __init__(self, spec: NetworkSpec, dtype: str, program: Program | None = None) -> None:
        self.SPEC = str(spec)
        self.LOSS = spec.loss
        self.DTYPE = np.dtype(dtype).type
        self.SIZES = spec.sizes
        self.PARAMETERS = shapes_of(spec)
        self.program = stable_gradient(spec) if program is None else program

    def init_params(self, seed: int = 0, scale: float = 0.3) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        return {
            name: (scale * generator.standard_normal(shape)).astype(self.DTYPE)
            for name, shape in self.PARAMETERS.items()
        }

    def _run(self, params: dict[str, Any], X: Any, Y: Any) -> dict[str, np.ndarray]:
        return evaluate(self.program, {**params, "X": X, "Y": Y}, dtype=self.DTYPE)

    def forward(self, params: dict[str, Any], X: Any) -> np.ndarray:
        Y = np.zeros((len(X), self.SIZES[-1]))
        return self._run(params, X, Y)["P"]

    def loss_and_gradients(
        self, params: dict[str, Any], X: Any, Y: Any, weights: None = None
    ) -> tuple[float, dict[str, np.ndarray]]:
        assert weights is None
        values = self._run(params, X, Y)
        gradients = {name: values[grad] for name, grad in self.program.gradients.items()}
        return float(values["loss"]), gradients
