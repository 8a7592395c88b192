"""What a search is given, and what it finds: a programme, results that are not its, and edits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from numpy.typing import NDArray

from runtime.grading.edit import Edit, Scope
from runtime.grading.scale import Scale
from runtime.grading.tree import Evaluation, Node

Array = NDArray[Any]
Statements = Mapping[str, Node]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A student's results at one trial.

    Attributes
    ----------
    evaluation
        What the statements read, and the sizes.
    results
        What the file gave, by the name of the statement that is meant.
    """

    evaluation: Evaluation
    results: Mapping[str, Array]


@final
@dataclass(frozen=True, kw_only=True)
class Puzzle:
    """A programme, and results that are not its.

    Attributes
    ----------
    statements
        The right formulas, in order.
    wrong, right
        Names of the results that are wrong, and of those that are right.
    trials
        What was seen, the first being the one on which candidates are sought.
    scopes
        What each statement could read, by its name; made from a trial's evaluation.
    tolerance
        Relative; how exact the file's numbers are.
    scaled
        Whether a result may be off by a factor.
    """

    statements: Statements
    wrong: Sequence[str]
    right: Sequence[str]
    trials: Sequence[Observed]
    scopes: Callable[[str, Evaluation], Scope]
    tolerance: float
    scaled: bool = True
    pairs: bool = True


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Edits that give the file's numbers on every trial.

    Attributes
    ----------
    changes
        The edits, in order; a statement that is only scaled has an edit of kind ``scale``.
    scale
        The factor that comes on top.
    explains
        The results that it explains.
    also_changes
        Results that it would change too, if the file computed them from the same; they are
        otherwise in the file.
    cost
        How far-fetched it is.
    after
        Changes that were found before, and that the programme already held.
    rivals
        Others that explain the same at about the same cost.
    statements, before
        The whole programme with the changes in it, and without them.
    """

    changes: tuple[Edit, ...]
    scale: Scale
    explains: tuple[str, ...]
    also_changes: tuple[str, ...] = ()
    cost: float
    after: tuple["Explanation", ...] = ()
    rivals: tuple["Explanation", ...] = ()
    statements: Statements = field(default_factory=dict)
    before: Statements = field(default_factory=dict)

    @property
    def statement(self) -> str:
        """The statement that is changed first."""
        return self.changes[0].statement
