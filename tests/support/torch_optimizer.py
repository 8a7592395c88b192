"""Training by the optimisers of PyTorch in float64, and scikit-learn's Adam as it is documented."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Arrays = dict[str, np.ndarray]
Gradient = Callable[[Arrays, np.ndarray], Mapping[str, np.ndarray]]

DEFAULTS = {"momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}


class SklearnAdam(torch.optim.Optimizer):
    """``MLPClassifier``'s AdamOptimizer: eps stands beside sqrt(v), which is not corrected.

    ``lr_t = lr sqrt(1 - beta2**t)/(1 - beta1**t)``, ``update = -lr_t m/(sqrt(v) + eps)``: its
    ``_get_updates``, and D. P. Kingma, J. Ba, 2015, the end of section 2. Weight decay is
    added to the gradient, as ``torch.optim.Adam`` does.
    """

    def __init__(self, params: Any, lr: float, **numbers: float) -> None:
        super().__init__(params, {"lr": lr, **numbers})
        self.t = 0

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        self.t += 1
        for group in self.param_groups:
            beta1, beta2 = group["beta1"], group["beta2"]
            rate = group["lr"] * np.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
            for p in group["params"]:
                g = p.grad + group["weight_decay"] * p
                kept = self.state[p]
                kept["m"] = beta1 * kept.get("m", 0.0) + (1 - beta1) * g
                kept["v"] = beta2 * kept.get("v", 0.0) + (1 - beta2) * g**2
                p += -rate * kept["m"] / (torch.sqrt(kept["v"]) + group["eps"])


def _optimizer(name: str | None, params: list[Any], eta: float, n: Mapping[str, float]) -> Any:
    match name:
        case None | "sgd":
            return torch.optim.SGD(params, lr=eta, weight_decay=n["weight_decay"])
        case "momentum" | "nesterov":
            return torch.optim.SGD(
                params,
                lr=eta,
                momentum=n["momentum"],
                nesterov=name == "nesterov",
                weight_decay=n["weight_decay"],
            )
        case "adam":
            return torch.optim.Adam(
                params,
                lr=eta,
                betas=(n["beta1"], n["beta2"]),
                eps=n["eps"],
                weight_decay=n["weight_decay"],
            )
        case _:
            rest = {key: n[key] for key in ("beta1", "beta2", "eps", "weight_decay")}
            return SklearnAdam(params, lr=eta, **rest)


def _schedule(name: str, optimizer: Any, epochs: int) -> Any:
    match name:
        case "step":
            return torch.optim.lr_scheduler.StepLR(optimizer, step_size=epochs // 3, gamma=0.1)
        case "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
        case _:
            return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An optimiser by its names, with the numbers that are not the defaults."""

    optimizer: str | None
    clip_norm: float | None = None
    schedule: str = "constant"
    numbers: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        words = [self.optimizer or "plain", self.schedule]
        words += [f"{name}={value:g}" for name, value in self.keywords.items()]
        return " ".join(words)

    @property
    def code(self) -> dict[str, Any]:
        """What the generator is told."""
        return {
            "optimizer": self.optimizer,
            "clip_norm": self.clip_norm is not None,
            "schedule": self.schedule,
        }

    @property
    def keywords(self) -> dict[str, float]:
        """What the module's ``train`` is told."""
        clip = {} if self.clip_norm is None else {"clip_norm": self.clip_norm}
        return {**dict(self.numbers), **clip}

    def steps(
        self, params: Arrays, gradient: Gradient, orders: np.ndarray, batch: int, eta: float
    ) -> Iterator[Arrays]:
        """Yield the parameters after each step of PyTorch's, by ``gradient(params, rows)``."""
        tensors = {n: torch.tensor(p, dtype=torch.float64) for n, p in params.items()}
        optimizer = _optimizer(
            self.optimizer, [*tensors.values()], eta, DEFAULTS | dict(self.numbers)
        )
        schedule = _schedule(self.schedule, optimizer, len(orders))
        for order in orders:
            for first in range(0, len(order), batch):
                now = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
                found = gradient(now, order[first : first + batch])
                for name, tensor in tensors.items():
                    tensor.grad = torch.tensor(found[name], dtype=torch.float64)
                if self.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_([*tensors.values()], self.clip_norm)
                optimizer.step()
                yield {name: tensor.numpy().copy() for name, tensor in tensors.items()}
            schedule.step()
