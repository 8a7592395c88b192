"""One change of a formula, and what it may be made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from runtime.grading.tree import Node

Shape = tuple[int, int]


OVERWRITTEN = "overwritten "  # before the name of a tensor: what the file has made of it in place


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one statement.

    Attributes
    ----------
    statement
        The name of what the statement defines.
    tree
        The changed formula.
    kind
        A word for what was changed, from `KINDS`.
    what
        A clause for the student: ``the factor 1 − h ∘ h is missing``.
    look
        Where to look, without saying what is wrong there.
    cost
        How far-fetched it is; the simplest explanation is told.
    free
        Whether it says nothing of the size of the result.
    """

    statement: str
    tree: Node
    kind: str
    what: str
    look: str
    cost: float
    free: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """The slope of an activation at some tensor.

    Attributes
    ----------
    activation
        Its name.
    at
        The tensor at which it is taken.
    tree
        Its formula.
    """

    activation: str
    at: str
    tree: Node


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a statement of a file could read in error.

    Attributes
    ----------
    shapes
        Every tensor that is there when the statement is computed, with its shape.
    slopes
        Derivatives of activations.
    own_slope
        The factor of this statement that is its activation's derivative, if it has one.
    activation
        The name of that activation.
    whole
        Other right-hand sides for the whole statement: kind, clause, tree, cost, and whether
        they say nothing of the size of the result.
    before
        By the name of a gradient, that to which an activation's derivative is multiplied to
        make it, with the activation.
    results
        Names of those tensors that are results as the statement is.
    anew
        Wrong formulas of tensors that a file may compute once more: each an edit of its own.
    at_most
        What an edit may cost: dearer ones need not be made.
    """

    shapes: Mapping[str, Shape]
    slopes: Sequence[Factor] = ()
    own_slope: Node | None = None
    activation: str = ""
    whole: Sequence[tuple[str, str, Node, float, bool]] = ()
    before: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    results: Sequence[str] = ()
    anew: Sequence[Edit] = ()
    at_most: float = math.inf
