"""A verdict in words: short, kind, exact."""

from collections.abc import Sequence

from runtime.files import shown
from runtime.grading.verdict import Diagnosis, Judgement, Verdict

_NOT_THERE = ("not-defined", "not-run")  # kinds of a function


def verdict_text(verdict: Verdict, hints: int = 2) -> str:
    """Return the report of a file.

    Parameters
    ----------
    verdict
        What was found.
    hints
        0 says which gradients are wrong, 1 where to look, 2 what the mistake is and in which
        line, 3 adds the right formula and the steps that lead to it.
    """
    width = max(map(len, verdict.functions), default=0)
    lines = [f"{verdict.name}: {'all right' if verdict.ok else 'not right yet'}", ""]
    for name, judgement in verdict.functions.items():
        lines.append(f"  {name:<{width}}  {judgement.status}")
    wrong = [j for j in verdict.functions.values() if j.status != "right"]
    if wrong:
        lines.append("")
    for judgement in wrong:
        lines += _paragraph(judgement, hints)
        if judgement is verdict.functions.get("backward"):
            lines += _gradients(verdict, hints)
    if "backward" not in verdict.functions and hints:
        lines += _gradients(verdict, hints)
    for warning in verdict.warnings:
        lines.append(f"  note: {warning}")
    return "\n".join(lines).rstrip()


def _paragraph(judgement: Judgement, hints: int) -> list[str]:
    lines = [f"  {judgement.summary}"]
    lines += [f"    {d.at(hints)}" for d in judgement.diagnosis if d.at(hints)]
    return lines


def _gradients(verdict: Verdict, hints: int) -> list[str]:
    """Return what is said of each wrong gradient; a shared cause once."""
    told: dict[str, list[str]] = {}
    for key, judgement in verdict.gradients.items():
        if judgement.status == "missing":
            told.setdefault(judgement.summary, []).append(key)
        for diagnosis in judgement.diagnosis:
            if text := diagnosis.at(hints):
                told.setdefault(text, []).append(key)
    return [f"    {', '.join(keys)}: {text}" for text, keys in told.items()] if hints else []


def class_table(verdicts: Sequence[tuple[str, Verdict | str]], hints: int = 2) -> str:
    """Return a line for each file, and which mistakes are common.

    Parameters
    ----------
    verdicts
        Name of each file with its verdict, or with why it cannot be graded.
    hints
        From 2 on the mistake is named in the table.
    """
    width = max((len(shown(name)) for name, _ in verdicts), default=0)
    lines = [f"{shown(name):<{width}}  {short(verdict, hints)}" for name, verdict in verdicts]
    right = sum(isinstance(v, Verdict) and v.ok for _, v in verdicts)
    refused = sum(isinstance(v, str) for _, v in verdicts)
    lines += ["", f"{len(verdicts)} files, {right} all right, {refused} could not be graded."]
    common = mistakes(verdicts)
    if common and hints >= 2:
        lines.append("Most common mistakes:")
        lines += [f"  {count:>4}  {told}" for told, count in common[:10]]
    return "\n".join(lines)


def short(verdict: Verdict | str, hints: int = 2) -> str:
    """Return a verdict in a few words."""
    if isinstance(verdict, str):
        return f"cannot be graded: {verdict}"
    if verdict.ok:
        return "all right"
    parts = []
    for name, judgement in verdict.functions.items():
        if judgement.status == "right":
            continue
        bad = [key for key, j in verdict.gradients.items() if j.status != "right"]
        which = f" ({', '.join(bad)})" if name == "backward" and bad else ""
        parts.append(f"{name} {judgement.status}{which}")
    if hints >= 2 and (first := first_mistake(verdict)):
        parts.append(first.message)
    return "; ".join(parts)


def first_mistake(verdict: Verdict) -> Diagnosis | None:
    """Return what a student should look at first; None if all is right."""
    # what is written before what is not: a file may hold the functions of one exercise alone
    found = sorted(_reasons(verdict), key=lambda told: told[1].kind in _NOT_THERE)
    return found[0][1] if found else None


def mistakes(verdicts: Sequence[tuple[str, Verdict | str]]) -> list[tuple[str, int]]:
    """Return each mistake with the number of files that make it, the most common first."""
    counts: dict[str, int] = {}
    for _, verdict in verdicts:
        if isinstance(verdict, str):
            continue
        kinds = [f"{name}: {d.kind}" for name, d in _reasons(verdict)]
        for kind in dict.fromkeys(kinds):
            counts[kind] = counts.get(kind, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _reasons(verdict: Verdict) -> list[tuple[str, Diagnosis]]:
    """Return why a file is not right, each with the function it is in.

    Where a judgement has no diagnosis, what it says itself is the reason.
    """
    bad = [judgement for judgement in verdict.gradients.values() if judgement.status != "right"]
    slopes = [d for judgement in bad for d in judgement.diagnosis if not d.shared]
    unexplained = [judgement.reason for judgement in bad if not judgement.diagnosis]
    found: list[tuple[str, Diagnosis]] = []
    for name, judgement in verdict.functions.items():
        if judgement.status == "right":
            continue
        told = list(judgement.diagnosis)
        if name == "backward":
            told += slopes
            if judgement.status == "wrong":  # then it only lists its gradients
                told += unexplained
        found += [(name, d) for d in told or [judgement.reason]]
    if "backward" not in verdict.functions:  # Part 2, where gradients follow from the functions
        found += [("backward", d) for d in slopes or ([] if found else unexplained)]
    return found
