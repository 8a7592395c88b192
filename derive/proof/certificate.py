"""The certificate of a derivation: what was shown, how, how long it took, what was assumed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from textwrap import wrap
from typing import Any, final

from derive.proof.attempt import listed
from derive.proof.claim import Claim, Status

Prose = Callable[[str], str]

_WIDTH = 96
_INDENT = "  "


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was claimed of a programme, and with what outcome. It prints itself.

    Attributes
    ----------
    claims
        In the order of the ladder.
    assumptions
        What they rest on.
    seconds
        How long all of it took.
    """

    claims: tuple[Claim, ...]
    assumptions: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether something was shown, and nothing that was tried failed."""
        return not self.failures and any(claim.holds for claim in self.claims)

    @property
    def failures(self) -> tuple[Claim, ...]:
        """The claims that were tried and not shown."""
        return tuple(claim for claim in self.claims if claim.fails)

    def to_json(self) -> list[dict[str, Any]]:
        """Return ``proof`` of the JSON report."""
        return [claim.to_json() for claim in self.claims]

    @property
    def sizes(self) -> tuple[str, ...]:
        """The numbers that stood for sizes in exact proofs and checks, each set once."""
        return tuple(dict.fromkeys(claim.sizes for claim in self.claims if claim.sizes))

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        count = {
            status: sum(claim.status == status for claim in self.claims)
            for status in ("proved", "checked", "not attempted", "not proved", "failed")
        }
        told = ", ".join(f"{n} {status}" for status, n in count.items() if n)
        return f"{told}; {self.seconds:.2f} s"

    def __str__(self) -> str:
        """Write the certificate as text."""
        lines = [line for sizes in self.sizes for line in _wrapped(f"For {sizes}", "  ")]
        for number, (rung, method, groups, seconds) in enumerate(self._rungs(), start=1):
            lines += _wrapped(f"{number}. {rung}, {seconds:.2f} s: {method}", "   ")
            for status, about, reason in groups:
                lines += _wrapped(f"   {status}: {about}{reason}", "     ")
        lines += [line for a in self.assumptions for line in _wrapped(f"Assumed: {a}", "   ")]
        return "\n".join([*lines, f"{_INDENT}{self.verdict}"])

    def to_markdown(self, prose: Prose = str) -> str:
        """Return the certificate in Markdown; `prose` writes its words."""
        lines = ["| rung | how | outcome | s |", "|---|---|---|---|"]
        for rung, method, groups, seconds in self._rungs():
            told = "; ".join(f"{status}: {about}{reason}" for status, about, reason in groups)
            cells = [_in_table(prose(cell)) for cell in (rung, method, told)]
            lines.append(f"| {' | '.join(cells)} | {seconds:.2f} |")
        assumed = [f"- Assumed: {prose(assumption)}" for assumption in self.assumptions]
        assumed = [f"- For {prose(sizes)}" for sizes in self.sizes] + assumed
        return "\n".join([*lines, "", *assumed, *([""] if assumed else []), self.verdict])

    def to_latex(self, prose: Prose) -> str:
        """Return the certificate in LaTeX, for the body of a document; `prose` writes words."""
        lines = [r"\begin{enumerate}"]
        for rung, method, groups, seconds in self._rungs():
            told = "; ".join(
                rf"\emph{{{status}}}: {prose(about + reason)}" for status, about, reason in groups
            )
            lines.append(
                rf"\item \textbf{{{prose(rung)}}} ({seconds:.2f}\,s): {prose(method)}. {told}."
            )
        lines += [rf"\item[] For {prose(sizes)}." for sizes in self.sizes]
        lines += [rf"\item[] Assumed: {prose(assumption)}." for assumption in self.assumptions]
        return "\n".join([*lines, r"\end{enumerate}", prose(self.verdict)])

    def to_html(self, prose: Prose = escape) -> str:
        """Return the certificate as an element of a page; `prose` writes its words."""
        rows = []
        for rung, method, groups, seconds in self._rungs():
            told = "<br>".join(
                f"<b>{escape(status)}</b>: {prose(about + reason)}"
                for status, about, reason in groups
            )
            rows.append(
                f"<tr><th>{prose(rung)}</th><td>{prose(method)}</td>"
                f"<td>{told}</td><td>{seconds:.2f}&nbsp;s</td></tr>"
            )
        assumed = "".join(f"<p>For {prose(sizes)}</p>" for sizes in self.sizes)
        assumed += "".join(f"<p>Assumed: {prose(a)}</p>" for a in self.assumptions)
        table = f"<table>{''.join(rows)}</table>"
        return f'<section class="proof">{table}{assumed}<p>{escape(self.verdict)}</p></section>'

    def _repr_html_(self) -> str:
        return self.to_html()

    def _rungs(self) -> list[tuple[str, str, list[tuple[Status, str, str]], float]]:
        """Return each rung with its method, outcomes, and seconds."""
        rungs = []
        for rung, members in groupby(self.claims, key=lambda claim: claim.rung):
            claims = list(members)
            bounds = [c.error_bound for c in claims if c.error_bound is not None and c.holds]
            methods = dict.fromkeys(claim.method for claim in claims if claim.method != "none")
            method = "; ".join(methods) or "not attempted"
            if bounds:
                what = "a wrong one passes with a chance" if "modulo" in rung else "tolerances"
                method += f"; {what} of at most {max(bounds):.0e}"
            outcomes: dict[tuple[Status, str], list[str]] = {}
            for claim in claims:
                outcomes.setdefault((claim.status, claim.reason), []).append(claim.about)
            told = [
                (status, listed(names), f" ({reason})" if reason else "")
                for (status, reason), names in outcomes.items()
            ]
            rungs.append((rung, method, told, sum(claim.seconds for claim in claims)))
        return rungs


def _wrapped(text: str, further: str) -> list[str]:
    return wrap(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT + further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _in_table(text: str) -> str:
    return text.replace("|", r"\|")
