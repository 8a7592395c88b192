"""The layers of the catalogue as PyTorch has them, with numbers to try them on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import sympy
import torch
from mutants import Mutant
from sympy import Indexed
from torch.nn import functional

from derive import catalogue
from derive.gradient import gradient_program, vjp_program
from derive.program import Program
from derive.rewrite import rewrite_program
from derive.second_order import hvp_program
from derive.shifts import is_shifted
from derive.stable import stable_program

Tensors = Mapping[str, torch.Tensor]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A layer of the catalogue beside PyTorch's.

    Attributes
    ----------
    define
        Returns the layer with names for its sizes.
    oracle
        PyTorch's output, from the values of the layer's inputs.
    sizes
        Returns a number for every name of a size, at random.
    proved
        Small numbers that differ, for proofs.
    special
        Inputs that are not drawn from the normal distribution.
    """

    define: Callable[[], Program]
    oracle: Callable[[Tensors], torch.Tensor]
    sizes: Callable[[np.random.Generator], dict[str, int]]
    proved: dict[str, int]
    special: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]]


def _layer_norm(t: Tensors) -> torch.Tensor:
    return functional.layer_norm(t["X"], t["X"].shape[1:], t["g"], t["b"], eps=1e-5)


def _residual(t: Tensors) -> torch.Tensor:
    hidden = torch.relu(functional.linear(t["X"], t["W1"], t["b1"]))
    return t["X"] + functional.linear(hidden, t["W2"], t["b2"])


def _dropout(t: Tensors) -> torch.Tensor:
    return functional.linear(t["X"] * t["M"] / 0.7, t["W"], t["b"])


def _attention(t: Tensors) -> torch.Tensor:
    Q, K, V = (functional.linear(t["X"], t[name]) for name in ("WQ", "WK", "WV"))
    return functional.scaled_dot_product_attention(Q, K, V)


def _embedding(t: Tensors) -> torch.Tensor:
    return functional.embedding(t["T"].long(), t["W"])


def _conv1d(**steps: int) -> Callable[[Tensors], torch.Tensor]:
    return lambda t: functional.conv1d(t["X"], t["W"], t["b"], **steps)


def _conv2d(**steps: int) -> Callable[[Tensors], torch.Tensor]:
    return lambda t: functional.conv2d(t["X"], t["W"], t["b"], **steps)


def _unequal(*names: str, least: int = 1) -> Callable[[np.random.Generator], dict[str, int]]:
    def draw(generator: np.random.Generator) -> dict[str, int]:
        numbers = generator.permutation(np.arange(least, least + len(names) + 3))
        return {name: int(n) for name, n in zip(names, numbers, strict=False)}

    return draw


def _outputs(length: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    return (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _along(
    axes: dict[str, tuple[str, str]], **steps: int
) -> Callable[[np.random.Generator], dict[str, int]]:
    """Return sizes of a convolution; `axes` gives length and kernel by the number of outputs."""

    def draw(generator: np.random.Generator) -> dict[str, int]:
        sizes = _unequal("B", "c", "o")(generator)
        for outputs, (length, kernel) in axes.items():
            sizes[kernel] = int(generator.integers(1, 4))
            reach = steps.get("dilation", 1) * (sizes[kernel] - 1) + 1
            sizes[length] = reach + int(generator.integers(0, 6))
            sizes[outputs] = _outputs(sizes[length], sizes[kernel], **steps)
        return sizes

    return draw


def _mask(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.integers(0, 2, shape).astype(float)


def _words(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.integers(0, 3, shape).astype(float)


LINE = {"m": ("n", "k")}
PLANE = {"m1": ("n1", "k1"), "m2": ("n2", "k2")}


def _convolution_1d(proved: dict[str, int], **steps: int) -> Layer:
    return Layer(
        define=lambda: catalogue.convolution_1d(**steps),
        oracle=_conv1d(**steps),
        sizes=_along(LINE, **steps),
        proved={"B": 2, "c": 1, "o": 3, **proved},
        special={},
    )


def _convolution_2d(proved: dict[str, int], **steps: int) -> Layer:
    return Layer(
        define=lambda: catalogue.convolution_2d(**steps),
        oracle=_conv2d(**steps),
        sizes=_along(PLANE, **steps),
        proved={"B": 2, "c": 1, "o": 3, **proved},
        special={},
    )


LAYERS = {
    "layer norm": Layer(
        define=catalogue.layer_norm,
        oracle=_layer_norm,
        sizes=_unequal("B", "n", least=2),
        proved={"B": 2, "n": 3},
        special={},
    ),
    "residual": Layer(
        define=catalogue.residual,
        oracle=_residual,
        sizes=_unequal("B", "n", "m"),
        proved={"B": 2, "n": 3, "m": 4},
        special={},
    ),
    "dropout": Layer(
        define=lambda: catalogue.dropout(rate=0.3),
        oracle=_dropout,
        sizes=_unequal("B", "n", "m"),
        proved={"B": 2, "n": 3, "m": 4},
        special={"M": _mask},
    ),
    "attention": Layer(
        define=catalogue.attention,
        oracle=_attention,
        sizes=_unequal("B", "n", "d", "c", "m"),
        proved={"B": 2, "n": 3, "d": 4, "c": 1, "m": 5},
        special={},
    ),
    "embedding": Layer(
        define=catalogue.embedding,
        oracle=_embedding,
        sizes=_unequal("v", "n", "B", least=3),
        proved={"B": 2, "v": 3, "n": 4},
        special={"T": _words},
    ),
    "conv 1d": _convolution_1d({"n": 5, "k": 2, "m": 4}),
    "conv 1d, padding 1": _convolution_1d({"n": 4, "k": 3, "m": 4}, padding=1),
    "conv 1d, stride 2, padding 1": _convolution_1d({"n": 5, "k": 2, "m": 3}, stride=2, padding=1),
    "conv 1d, dilation 2": _convolution_1d({"n": 5, "k": 2, "m": 3}, dilation=2),
    "conv 2d": _convolution_2d({"n1": 3, "k1": 2, "m1": 2, "n2": 4, "k2": 2, "m2": 3}),
    "conv 2d, stride 3, padding 2": _convolution_2d(
        {"n1": 4, "k1": 2, "m1": 3, "n2": 2, "k2": 3, "m2": 2}, stride=3, padding=2
    ),
    "conv 2d, dilation 2, padding 1": _convolution_2d(
        {"n1": 4, "k1": 2, "m1": 4, "n2": 3, "k2": 2, "m2": 3}, dilation=2, padding=1
    ),
}


@cache
def raw(name: str) -> Program:
    """Return a layer's gradient programme as the rule gives it."""
    return gradient_program(LAYERS[name].define())


@cache
def rewritten(name: str) -> Program:
    """Return a layer's gradient programme as it is printed."""
    return rewrite_program(raw(name))


@cache
def stable(name: str) -> Program:
    """Return a layer's gradient programme as it is computed."""
    return stable_program(rewritten(name))


@cache
def second_order(name: str) -> Program:
    """Return a layer's programme of the Hessian times a direction."""
    return rewrite_program(hvp_program(rewritten(name)))


@cache
def backward(name: str) -> Program:
    """Return the vector-Jacobian product of a layer's output, the input included."""
    forward = LAYERS[name].define()
    inputs = tuple(t.name for t in forward.inputs if t.name == "X")
    return rewrite_program(vjp_program(forward, of="P", inputs=inputs))


def shift_mutants(program: Program) -> list[Mutant]:
    """Return mutants with one shifted read off by one, or shifted the other way."""
    found = []
    for statement in program.backward:
        for read in sorted(statement.body.atoms(Indexed), key=sympy.default_sort_key):
            for n, position in enumerate(read.indices if is_shifted(read) else ()):
                first = position.as_ordered_terms()[-1]
                wrong = {"off by one": position + 1, "the other way": position - 2 * first}
                for kind, other in wrong.items() if position.is_Add else ():
                    indices = (*read.indices[:n], other, *read.indices[n + 1 :])
                    body = statement.body.xreplace({read: read.base[indices]})
                    changed = replace(statement, body=body)
                    statements = tuple(changed if s is statement else s for s in program.statements)
                    mutated = replace(program, statements=statements)
                    found.append(Mutant(kind, statement.name, mutated))
    return found


def draw(name: str, seed: int) -> Arrays:
    """Draw values for every input of a layer, of random unequal sizes."""
    layer, generator = LAYERS[name], np.random.default_rng(seed)
    sizes = layer.sizes(generator)
    values: Arrays = {}
    for tensor in layer.define().inputs:
        shape = tuple(sizes[str(extent)] for extent in tensor.shape)
        special = layer.special.get(tensor.name)
        values[tensor.name] = special(generator, shape) if special else generator.normal(size=shape)
    return values


def torch_inputs(name: str, values: Arrays) -> dict[str, torch.Tensor]:
    """Return values as tensors, those that are differentiated with a gradient."""
    wanted = {*LAYERS[name].define().parameters, "X"}
    return {n: torch.tensor(array, requires_grad=n in wanted) for n, array in values.items()}
