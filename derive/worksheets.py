"""The derivation of a network as a worksheet with blanks, and as the sheet of its solution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from derive.blanks import STYLES
from derive.document import Document, document
from derive.errors import InputError, InternalError
from derive.network_derivation import derivation
from derive.recurrence import layer_recurrence
from derive.recurrence_document import recurrence_document
from derive.spec import DEFAULT_LOSS, NetworkSpec, is_any_depth, one_hidden_layer, parse_spec
from derive.worked_example import WorkedExample, small_network, worked_example
from derive.worksheet_document import LEVELS, worksheet_document
from derive.writers import WRITERS

LAB = "2-10-2"
_WORKSHEET, _SOLUTION = "Worksheet: ", "Solution: "


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Worksheet:
    """Both sheets of a network's derivation; what `worksheet` returns.

    Attributes
    ----------
    spec
        The network; for any depth, one with a single hidden layer.
    document
        What the worksheet says, with answers between marks where it has blanks.
    example
        The numbers of the example, None if the sheets have none.
    """

    spec: NetworkSpec
    document: Document
    example: WorkedExample | None

    def report(self, format_: str = "text", *, solution: bool = False) -> str:
        """Return one of the sheets in one of `derive.writers.WRITERS`.

        Parameters
        ----------
        format_
            ``"text"``, ``"markdown"``, ``"html"`` (a page of its own) or ``"latex"`` (a document
            that compiles as it stands).
        solution
            Whether it is the solution: the same text, with answers in the place of the blanks.

        Raises
        ------
        InputError
            If the format is not known.
        """
        return self.reports(format_)[solution]

    def reports(self, format_: str = "text") -> tuple[str, str]:
        """Return the worksheet and the solution, as `report` does, from one text."""
        if format_ not in WRITERS:
            raise InputError(f'format: "{format_}" is not known. Known: {", ".join(WRITERS)}.')
        text, style = WRITERS[format_](self.document), STYLES[format_]
        solved = text.replace(_WORKSHEET, _SOLUTION)  # a title: no formula holds a colon
        return style.cut(text, filled=False), style.cut(solved, filled=True)

    def __str__(self) -> str:
        """Write the worksheet as ``gradwright explain`` does."""
        return self.report().rstrip("\n")

    def _repr_html_(self) -> str:
        from derive.html_report import write_html_fragment

        return STYLES["html"].cut(write_html_fragment(self.document), filled=False)


def worksheet(
    spec: NetworkSpec | str = LAB,
    *,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    names: str = "plain",
    level: int = 2,
    example: bool = True,
    seed: int = 0,
) -> Worksheet:
    """Return the derivation of a network as a worksheet and its solution.

    Parameters
    ----------
    spec, loss, define, l2, labels, names
        As for `derive.derivation`; ``"N"`` is any number of hidden layers, with an example of two.
    level
        How much is left blank: 1 an operand of each gradient, 2 also the steps that lead to it,
        3 all of them but what they are called.
    example
        Whether a small network of the same kind is worked with numbers.
    seed
        Draws these numbers: each student may have others.

    Returns
    -------
    Worksheet

    Raises
    ------
    InputError
        If the text cannot be read, or an option is not known.

    Examples
    --------
    >>> import derive
    >>> lab = derive.worksheet("2-10-2", level=1, example=False)
    >>> print(lab)  # doctest: +ELLIPSIS
    Worksheet: network 2-10-2, cross-entropy loss, mean over a batch of B samples
    ...
        dZ1 = dH1 ∘ (⟨13: ____⟩)
    ...
    >>> solution = lab.report(solution=True)
    >>> "dZ1 = dH1 ∘ (⟨13: 1 − H1 ∘ H1⟩)" in solution
    True
    """
    if level not in LEVELS:
        raise InputError(f"level: {level} is not known. Expected 1, 2 or 3.")
    steps = level > 1
    if isinstance(spec, str) and is_any_depth(spec):
        if names != "plain":
            raise InputError(
                "names: the lab's need a depth. Leave them out, or give sizes, for example 2-10-2."
            )
        network = parse_spec(one_hidden_layer(spec), loss=loss, define=define, l2=l2)
        recurrence = layer_recurrence(network, labels=labels, depths=(2,))
        if not recurrence.holds:
            raise InternalError(f"the recurrence is not what single networks give\n\n{recurrence}")
        whole = recurrence_document(recurrence, steps=steps)
        hidden, output = network.activations
        shown = replace(
            network, sizes=("n0", "n1", "n2", "n3"), activations=(hidden, hidden, output)
        )
    else:
        network = shown = (
            parse_spec(spec, loss=loss, define=define, l2=l2) if isinstance(spec, str) else spec
        )
        program = derivation(network, labels=labels, names=names).program
        whole = document(program, network, steps=steps)
    found = None
    if example:
        small = small_network(shown)
        small_program = derivation(small, labels=labels, names=names).program
        found = worked_example(small, small_program, seed=seed)
    told = worksheet_document(whole, level=level, example=found, asked=example)
    named = replace(told, title=(_WORKSHEET, *told.title))
    return Worksheet(spec=network, document=named, example=found)
