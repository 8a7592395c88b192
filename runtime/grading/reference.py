"""The right formulas of a network in the lab's names, as trees, from `derive` alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

import derive
from derive.error_bound import evaluate_with_bound
from derive.matrix_form import matrix_form
from derive.names import lab_names
from derive.program import Program, Statement
from runtime.errors import InternalError
from runtime.grading.tree import Evaluation, Node, from_matrix, reads

Array = NDArray[Any]


@final
@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network's formulas.

    Attributes
    ----------
    program
        The gradient programme that the trees were made of.
    forward, backward
        A tree for each statement by the name of what it defines, in order.
    gradients
        Name of the gradient by name of the parameter.
    raw
        Statements of the gradient programme before anything was substituted, such as
        ``dyhat``, which the programme that is printed has taken in.
    unfolded
        Earlier forms of a statement in its derivation, over tensors of `raw`.
    """

    program: Program
    forward: dict[str, Node]
    backward: dict[str, Node]
    gradients: dict[str, str]
    raw: dict[str, Node]
    unfolded: dict[str, tuple[Node, ...]]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, layer by layer."""
        return self.program.parameters


def size_names(depth: int) -> tuple[str, ...]:
    """Return the names of a network's sizes from input to output: ``nx nh ny``."""
    if depth <= 2:
        return ("nx", "nh", "ny") if depth == 2 else ("nx", "ny")
    return ("nx", *(f"nh{layer}" for layer in range(1, depth)), "ny")


def reference(
    depth: int, *, hidden: str = "tanh", output: str = "", loss: str = "cross-entropy"
) -> Reference:
    """Return the formulas of a network with `depth` layers of weights.

    Parameters
    ----------
    depth
        2 in the lab's Parts 1 and 2.
    hidden, output
        Activations; the output's default follows the loss.
    loss
        By name.
    """
    return _reference(depth, hidden, output, loss)


@lru_cache(maxsize=64)  # of positions, so that a default that is written out is derived once
def _reference(depth: int, hidden: str, output: str, loss: str) -> Reference:
    first, *inner, last = size_names(depth)
    end = f"{last}:{output}" if output else last
    text = "-".join([first, *(f"{name}:{hidden}" for name in inner), end])
    raw = derive.gradient_program(derive.loss_program(derive.parse_spec(text, loss=loss)))
    program = lab_names(derive.rewrite_program(raw))
    trees = _trees(program.statements)
    early = lab_names(replace(raw, steps=()))
    gone = _trees(s for s in early.statements if s.name not in trees)
    forward = {s.name: trees[s.name] for s in program.forward if s.name in trees}
    backward = {s.name: trees[s.name] for s in program.backward if s.name in trees}
    missing = [name for name in program.gradients.values() if name not in backward]
    if missing:
        raise InternalError(f"{missing[0]} has no matrix form")
    return Reference(
        program=program,
        forward=forward,
        backward=backward,
        gradients=program.gradients,
        raw=gone,
        unfolded=_unfolded(program, gone),
    )


@lru_cache(maxsize=16)
def loss_formula(loss: str) -> Node:
    """Return a loss of softmax's output as a tree; nothing is differentiated."""
    program = derive.loss_program(derive.parse_spec("nx-ny:softmax", loss=loss))
    return _trees(lab_names(program).statements)["loss"]


def _unfolded(program: Program, raw: Mapping[str, Node]) -> dict[str, tuple[Node, ...]]:
    """Return what statements were once forward values had been put in, but nothing else."""
    found: dict[str, tuple[Node, ...]] = {}
    for step in program.steps:
        if step.rule != "reuse":
            continue
        target = program.tensors()[step.target]
        form = matrix_form(Statement(target=target, indices=step.indices, body=step.after))
        if form is not None and reads(tree := from_matrix(form)) & set(raw):
            found[step.target] = (*found.get(step.target, ()), tree)
    return found


def _trees(statements: Iterable[Statement]) -> dict[str, Node]:
    forms = {s.name: matrix_form(s) for s in statements}
    return {name: from_matrix(form) for name, form in forms.items() if form is not None}


def forward_values(
    source: Reference, given: Mapping[str, Array], sizes: Mapping[str, int]
) -> dict[str, Array]:
    """Return X, Y, the parameters, and what the forward statements make of them, the loss too."""
    evaluation = Evaluation(given, sizes)
    with np.errstate(all="ignore"):
        for name, tree in source.forward.items():
            value = evaluation(tree)
            evaluation.values[name] = value
    return evaluation.values


def right_values(source: Reference, given: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Return the value of every statement, and its rounding error bound in float64.

    Parameters
    ----------
    source
        The formulas.
    given
        X, Y and the parameters, in the lab's shapes.
    """
    found = evaluate_with_bound(source.program, dict(given), "float64")
    return {
        name: (np.atleast_2d(value), np.atleast_2d(bound)) for name, (value, bound) in found.items()
    }
