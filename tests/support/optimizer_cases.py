"""Optimisers to be tested in every target: recipes, a network's data, and PyTorch's steps."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from emitted import assert_all_near
from torch_network import TorchNetwork
from torch_optimizer import Recipe

from codegen.optimizers import METHODS, SCHEDULES

SMALL, WIDE = "2-4-2", "130-17-2"  # in vectors; by BLAS, and over the inputs that are not 0
N, BATCH, ETA, EPOCHS = 11, 4, 0.02, 6  # the last batch of an epoch has three samples
NUMBERS = {
    "momentum": (("momentum", 0.7),),
    "nesterov": (("momentum", 0.8),),
    "adam": (("beta1", 0.8), ("beta2", 0.97), ("eps", 1e-3)),
    "adam-sklearn": (("beta1", 0.7), ("beta2", 0.99), ("eps", 1e-2)),
}


def recipes() -> list[Recipe]:
    """Return recipes in which every two of their parts meet."""
    found = []
    for i, method in enumerate(METHODS):
        for j, schedule in enumerate(SCHEDULES):
            numbers = NUMBERS.get(method, ()) if j != 2 else ()
            if (i + j) % 2:
                numbers += (("weight_decay", 0.03),)
            clip = 0.3 if j == i % 3 else None
            found.append(
                Recipe(optimizer=method, clip_norm=clip, schedule=schedule, numbers=numbers)
            )
    return [*found, Recipe(optimizer=None, clip_norm=0.3)]


RECIPES = recipes()
ALL = Recipe(
    optimizer="adam",
    clip_norm=0.3,
    schedule="cosine",
    numbers=(*NUMBERS["adam"], ("weight_decay", 0.03)),
)
FEW = [ALL, Recipe(optimizer="momentum", schedule="step", numbers=NUMBERS["momentum"])]
PLAIN_STEP = Recipe(optimizer=None, schedule="step")


def data(network: str, count: int = N) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return parameters, inputs of which few are not 0, and targets."""
    draw = np.random.default_rng(3)
    sizes = [int(size) for size in network.split("-")]
    params = {}
    for number, (m, n) in enumerate(itertools.pairwise(sizes), 1):
        params[f"W{number}"] = draw.standard_normal((n, m)) / np.sqrt(m)
        params[f"b{number}"] = draw.standard_normal(n)
    X = draw.standard_normal((count, sizes[0])) * (draw.random((count, sizes[0])) < 0.4)
    return params, X, np.eye(sizes[-1])[draw.integers(0, sizes[-1], count)]


def orders(epochs: int, count: int = N) -> np.ndarray:
    return np.stack([np.random.default_rng(e).permutation(count) for e in range(epochs)])


def by_torch(network: str, chosen: Recipe, epochs: int) -> list[dict[str, np.ndarray]]:
    """Return the parameters after each step of PyTorch's."""
    params, X, Y = data(network)
    torch_network = TorchNetwork(network, "cross-entropy")

    def gradient(now: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        return torch_network.loss_and_gradients(now, X[rows], Y[rows])[1]

    return list(chosen.steps(params, gradient, orders(epochs), BATCH, ETA))


def assert_pytorchs_steps(train: Callable[..., Any], chosen: Recipe) -> None:
    """Every step of a module's ``train``, each in a call of its own that goes on by the state."""
    params, X, Y = data(SMALL)
    state: dict[str, np.ndarray] = {}
    steps = iter(by_torch(SMALL, chosen, EPOCHS))
    options = {}
    if chosen.schedule != "constant":
        options["schedule_epochs"] = EPOCHS
    for epoch, order in enumerate(orders(EPOCHS)):
        for first in range(0, N, BATCH):
            rows = order[first : first + BATCH]
            train(
                params, X[rows], Y[rows], epochs=1, batch=BATCH, eta=ETA, start=epoch,
                order=np.arange(len(rows))[None], state=state, **chosen.keywords, **options,
            )  # fmt: skip
            assert_all_near(params, next(steps), 1e-12, f"{epoch} {first}")
