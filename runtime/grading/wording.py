"""Explanations in words: what a student reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from runtime.grading.puzzle import Explanation
from runtime.grading.scale import Scale
from runtime.grading.tree import Node, reads, written
from runtime.grading.verdict import Diagnosis


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How a student knows what the formulas name.

    Attributes
    ----------
    results
        The student's word for each result that is judged: ``dWh`` is "Wh's gradient".
    plain
        The student's key, where it is not the lab's name.
    """

    results: Mapping[str, str]
    plain: Mapping[str, str]

    def word(self, statement: str) -> str:
        """Return what a statement is called in a sentence."""
        if statement in self.results:
            return self.results[statement]
        if statement.startswith("d"):
            return f"the gradient at {statement[1:]}"
        return statement


def listed(words: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def diagnosis_of(
    explanation: Explanation,
    names: Names,
    *,
    line: int | None,
    place: str,
    statements: Mapping[str, Node],
    steps: Sequence[str] = (),
    certain: bool = True,
    first: bool = True,
) -> Diagnosis:
    """Return what is said of an explanation.

    Parameters
    ----------
    explanation
        What the search found.
    names
        The student's names.
    line, place
        Where in the file, as a number and in words ("" if it is not known).
    statements
        The right formulas.
    steps
        The steps of the derivation that lead to it.
    certain, first
        Whether nothing else is as simple, and else whether this one is told first.
    """
    clauses, looks, kinds = [], [], []
    user = ""
    if explanation.also_changes:  # elsewhere the file has it right
        verb = "uses" if len(explanation.explains) == 1 else "use"
        user = f", as {_together([names.word(n) for n in explanation.explains])} {verb} it"
    for edit in explanation.changes:
        if edit.kind != "scale":
            used = user if edit.statement not in names.results else ""
            clauses.append(_clause(edit.statement, edit.what, names, used))
            looks.append(edit.look)
            kinds.append(edit.kind)
    if not explanation.scale.is_one:
        kind, clause, look = scale_words(explanation.scale)
        subject = explanation.changes[0].statement
        if clauses:
            clauses.append(f"besides, the result {clause}")
        elif len(explanation.explains) == 1 or subject in names.results:
            words = [names.word(name) for name in explanation.explains]
            clauses.append(f"{_together(words)} {_plural(clause) if len(words) > 1 else clause}")
        else:
            every = _together([names.word(name) for name in explanation.explains])
            clauses.append(f"{names.word(subject)}, and with it {every}, {clause}")
        looks.append(look)
        kinds.append(kind)
    if explanation.after:
        before = _together([names.word(name) for name in explanation.after[-1].explains])
        clauses[0] = f"besides the mistake in {before}, {clauses[0]}"
    text = "; ".join(dict.fromkeys(clauses))
    where = f" ({place})" if place else ""
    hedge = "" if certain else "Perhaps: " if first else "Or else: "
    sentence = f"{hedge}{text}{where}."
    changed = explanation.changes[0].statement
    right = statements[changed]
    formula = f"Right is {changed} = {written(right)}"
    if all(edit.kind == "scale" for edit in explanation.changes):  # the factor may be further up
        above = [name for name in statements if name in reads(right)]
        formula += "".join(f", with {name} = {written(statements[name])}" for name in above)
    formula += "."
    if steps:
        formula += " It comes from: " + " → ".join(steps) + "."
    return Diagnosis(
        kind="+".join(dict.fromkeys(kinds)),
        look=_sentence("; ".join(dict.fromkeys(looks))),
        message=_capital(sentence),
        formula=formula,
        certain=certain,
        line=line,
    )


def _plural(clause: str) -> str:
    """Return a clause for several things: what *is* then *are*."""
    for one, several in (("is ", "are "), ("has ", "have ")):
        if clause.startswith(one):
            rest = clause.removeprefix(one)
            rest = rest.replace("what it should be", "what they should be").replace(
                "it is divided", "they are divided"
            )
            return several + rest
    return clause


def _together(words: Sequence[str]) -> str:
    """Return "the gradients of Wy and by" for the gradient of each."""
    head = "the gradient of "
    if len(words) > 1 and all(word.startswith(head) for word in words):
        return f"the gradients of {listed([word.removeprefix(head) for word in words])}"
    return listed(words)


def _clause(statement: str, what: str, names: Names, used: str) -> str:
    word = f"{names.word(statement)}{used}"
    if what.startswith("it "):
        return f"{word}{',' if used else ''} {what.removeprefix('it ')}"
    return f"in {word}, {what}"


def scale_words(scale: Scale) -> tuple[str, str, str]:
    """Return the kind, the clause and the hint for a result that is off by a factor."""
    look = "look at the factors: how large is the result, and which sign has it?"
    batch = "look at the batch: is it a mean or a sum?"
    sign = scale.number < 0
    size = abs(scale.number)
    also = ", and its sign is wrong" if sign else ""
    match scale.powers:
        case () if size == 1:
            return "sign", "has the wrong sign", "look at the sign"
        case () if abs(size * math.log(2) - 1) < 1e-3 or abs(size * math.log(10) - 1) < 1e-3:
            base = 2 if size > 1 else 10
            return (
                "wrong-function",
                f"is taken with the logarithm to base {base}, not the natural one{also}",
                "look at the logarithm",
            )
        case ():
            return (
                "constant-factor",
                f"is {scale.text()} times what it should be: a factor {scale.text()} is too many",
                look,
            )
        case (("B", 1),) if size == 1:
            return (
                "missing-mean",
                f"is B times what it should be: the mean over the batch, 1/B, is missing{also}",
                batch,
            )
        case (("B", -1),) if size == 1:
            return (
                "extra-mean",
                "is 1/B of what it should be: it is divided by the batch size once too often"
                f"{also}",
                batch,
            )
        case (("B", 1),) if size < 1 and abs(1 / size - round(1 / size)) < 1e-6:
            return (
                "fixed-batch-size",
                f"is divided by {1 / size:g} where the batch size B belongs{also}",
                batch,
            )
        case (("B", 1),):
            return (
                "missing-mean+constant-factor",
                f"is {size:g} B times what it should be: the mean over the batch, 1/B, is missing, "
                f"and a factor {size:g} is too many{also}",
                batch,
            )
        case (("B", 1), ("(B − 1)", -1)) if size == 1:
            return (
                "wrong-size-division",
                f"is divided by B − 1 where the batch size B belongs{also}",
                batch,
            )
        case ((name, 1),) if size == 1:
            return (
                "extra-size-factor",
                f"is {name} times what it should be: a division by {name} is missing, or a "
                f"factor {name} is too many{also}",
                look,
            )
        case ((name, -1),) if size == 1:
            return (
                "extra-size-division",
                f"is 1/{name} of what it should be: it is divided by {name} as well, such as "
                f"by a mean over that axis{also}",
                look,
            )
        case (("B", 1), (name, -1)) if size == 1:
            return (
                "wrong-size-division",
                f"is divided by {name} where the batch size B belongs{also}",
                batch,
            )
        case _:
            return "factor", f"is {scale.text()} times what it should be", look


def _sentence(text: str) -> str:
    return _capital(text if text.endswith("?") else f"{text}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
