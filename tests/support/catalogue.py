"""The networks that everything is tried on: activations × outputs × losses × depths."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from derive.gradient import gradient_program
from derive.network import loss_program
from derive.program import Program
from derive.rewrite import rewrite_program
from derive.spec import NetworkSpec
from derive.stable import stable_program

ACTIVATIONS = (
    *("tanh", "sigmoid", "relu", "softplus", "elu", "gelu", "silu"),
    *("identity", "sin", "softmax", "log_softmax"),
)
LOSSES = ("cross-entropy", "binary-cross-entropy", "mse", "mae", "huber", "hinge")
UNDEFINED = {("log_softmax", "binary-cross-entropy")}  # (output, loss): log of what is below 0
PAIRS = [(a, loss) for a in ACTIVATIONS for loss in LOSSES if (a, loss) not in UNDEFINED]
DEPTHS = range(13)  # hidden layers


def network(
    sizes: Sequence[int | str],
    hidden: Sequence[str] = (),
    output: str = "softmax",
    loss: str = "cross-entropy",
) -> NetworkSpec:
    """Return a network; hidden activations are repeated as often as needed, tanh if none."""
    cycle = tuple(hidden) or ("tanh",)
    layers = len(sizes) - 1
    activations = (*(cycle[n % len(cycle)] for n in range(layers - 1)), output)
    return NetworkSpec(sizes=tuple(sizes), activations=activations, loss=loss)


def named(spec: NetworkSpec) -> NetworkSpec:
    """Return the same network with a name for each size."""
    names = tuple(f"n{layer}" for layer in range(len(spec.sizes)))
    return replace(spec, sizes=names)


@cache
def raw_gradient(spec: NetworkSpec) -> Program:
    """Return the gradient programme as the rule gives it."""
    return gradient_program(loss_program(spec))


@cache
def rewritten_gradient(spec: NetworkSpec) -> Program:
    """Return the gradient programme as it is printed."""
    return rewrite_program(raw_gradient(spec))


@cache
def stable_gradient(spec: NetworkSpec) -> Program:
    """Return the gradient programme as kernels compute it."""
    return stable_program(rewritten_gradient(spec))
