"""Kernel programmes for tests: written in few words, filled with numbers, compared.

`interpret` is the meaning of a kernel programme, and so the judge of every pass.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from codegen.interpreter import interpret
from codegen.kernel import (
    BATCH,
    Argument,
    Buffer,
    Call,
    Contract,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Role,
    Store,
    Update,
    Value,
    parts,
)
from codegen.lowering import lower
from derive.gradient import gradient_program, vjp_program
from derive.network import loss_program
from derive.program import Program
from derive.rewrite import rewrite_program
from derive.spec import parse_spec
from derive.stable import stable_program

Shape = tuple[Extent, ...]
Arrays = dict[str, NDArray[np.float64]]

SAMPLES = 7  # unlike every width below, so that no exchange of axes goes unseen

ETA = 0.37


def kernel_program(
    *nodes: Node,
    outputs: Sequence[str] = (),
    inputs: dict[str, Shape] | None = None,
    parameters: dict[str, Shape] | None = None,
    work: dict[str, Shape] | None = None,
) -> KernelProgram:
    """Return a programme; a work buffer among the outputs gets that role."""
    shapes: list[tuple[str, Shape, Role]] = []
    shapes += [(name, shape, "input") for name, shape in (inputs or {}).items()]
    shapes += [(name, shape, "parameter") for name, shape in (parameters or {}).items()]
    shapes += [
        (name, shape, "output" if name in outputs else "work")
        for name, shape in (work or {}).items()
    ]
    return KernelProgram(
        name="test",
        dtype="float64",
        buffers=tuple(
            Buffer(name=name, shape=shape, role=role, dtype="float64")
            for name, shape, role in shapes
        ),
        nodes=nodes,
        outputs=tuple(outputs),
    )


def at(text: str) -> Load:
    """Return the load that is written ``W[j,k]``, or ``s`` for a buffer without axes."""
    name, _, axes = text.rstrip("]").partition("[")
    return Load(name, tuple(axes.split(",")) if axes else ())


def elementwise(target: str, value: Value) -> Elementwise:
    """Return ``target := value``, the target written as in `at`."""
    place = at(target)
    store = Store(buffer=place.buffer, axes=place.axes, value=value)
    return Elementwise(axes=place.axes, stores=(store,), origin=(target,))


def contract(target: str, left: str, right: str, **more: object) -> Contract:
    """Return ``target := left · right``, all three written as in `at`."""
    place = at(target)
    return Contract(
        out=place.buffer,
        out_axes=place.axes,
        left=at(left),
        right=at(right),
        origin=(target,),
        **more,  # type: ignore[arg-type]
    )


def reduce(target: str, axis: str, value: Value, op: str = "sum", **more: object) -> Reduce:
    """Return ``target := op over axis of value``."""
    place = at(target)
    return Reduce(
        out=place.buffer,
        out_axes=place.axes,
        axis=axis,
        op=op,  # type: ignore[arg-type]
        value=value,
        origin=(target,),
        **more,  # type: ignore[arg-type]
    )


def update(parameter: str, gradient: str) -> Update:
    """Return ``parameter := parameter - eta * gradient``."""
    return Update(parameter=parameter, gradient=gradient, rate=Argument("eta"), origin=(parameter,))


def values_for(program: KernelProgram, seed: int = 0, samples: int = SAMPLES) -> Arrays:
    """Return numbers for the inputs and parameters, batch last, all between 0.2 and 1.2.

    They are positive so that logarithms exist, and none is 0 or 1.
    """
    draw = np.random.default_rng(seed)
    return {
        buffer.name: draw.uniform(
            0.2, 1.2, [samples if extent == BATCH else extent for extent in buffer.shape]
        )
        for buffer in program.buffers
        if buffer.role in ("input", "parameter")
    }


def results(program: KernelProgram, values: Arrays) -> Arrays:
    """Return what a programme leaves: its outputs and parameters."""
    after = interpret(program, values, {"eta": ETA})
    kept = [b.name for b in program.buffers if b.role == "parameter"]
    return {name: after[name] for name in dict.fromkeys((*program.outputs, *kept))}


def assert_same_results(before: KernelProgram, after: KernelProgram, seed: int = 0) -> None:
    """Both programmes, interpreted in float64, agree in outputs and parameters."""
    values = values_for(before, seed)
    expected, found = results(before, values), results(after, values)
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert np.isfinite(array).all(), f"{name} compares nothing"
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-14, err_msg=name)


def called(node: Node) -> Iterator[str]:
    """Yield the names of the elementary functions that a node calls, with repetitions."""
    match node:
        case Elementwise():
            values = [store.value for store in node.stores]
        case Reduce():
            values = [node.value]
        case _:
            return
    while values:
        value = values.pop()
        values += parts(value)
        if isinstance(value, Call):
            yield value.function


# ---------------------------------------------------------------- networks as kernels

# widths that differ, where equal ones would hide an exchange of axes (and one pair that is
# equal, where no shape shows it); every activation in the middle and at the end, every loss
NETWORKS = (
    ("3-2", "cross-entropy"),
    ("2-10-3", "cross-entropy"),
    ("4-3:relu-5:sigmoid-6:identity-2", "cross-entropy"),
    ("2-3:relu-4:sigmoid-5:softmax-6:tanh-2", "cross-entropy"),
    ("3-5-4:sigmoid", "cross-entropy"),
    ("5-4-3", "mse"),
    ("3-4:softmax-2:relu", "mse"),
    ("1-3-1:sigmoid", "mse"),
    ("4-2:softmax", "mse"),
    ("6-5-1:tanh", "mse"),
    ("3-4-4-2", "cross-entropy"),
    ("20-40-30-3", "cross-entropy"),
)


@cache
def derived(text: str, loss: str, labels: str = "one-hot") -> tuple[Program, Program]:
    """Return a network's gradient and vector-Jacobian programmes as they are lowered."""
    forward = loss_program(parse_spec(text, loss=loss), weighted=True)
    return (
        stable_program(rewrite_program(gradient_program(forward), labels=labels)),
        stable_program(rewrite_program(vjp_program(forward), labels=labels)),
    )


@cache
def lowered(text: str, loss: str, labels: str = "one-hot") -> dict[str, KernelProgram]:
    """Return the kernel programmes of a network as they are before any pass."""
    gradient, pullback = derived(text, loss, labels)
    gradients = tuple(gradient.gradients.values())
    step = lower(gradient, name="step", outputs=gradients, dtype="float64")
    steps = tuple(update(name, grad) for name, grad in gradient.gradients.items())
    buffers = tuple(
        Buffer(name=b.name, shape=b.shape, role="work", dtype=b.dtype) if b.role == "output" else b
        for b in step.buffers
    )
    return {
        "forward": lower(gradient, name="forward", outputs=("P",), dtype="float64"),
        "loss": lower(gradient, name="loss", outputs=("P", "loss"), dtype="float64"),
        "gradients": lower(
            gradient, name="gradients", outputs=(*gradients, "loss"), dtype="float64"
        ),
        "vjp": lower(
            pullback, name="vjp", outputs=("dX", *pullback.gradients.values()), dtype="float64"
        ),
        "step": KernelProgram(
            name="step",
            dtype="float64",
            buffers=buffers,
            nodes=step.nodes + steps,
            outputs=tuple(gradient.gradients),
        ),
    }
