"""Pieces of text that every emitted module in Python is put together from."""

import textwrap
from collections.abc import Mapping
from importlib import resources
from string import Template

from codegen.emit.numpy_text import numpy_lines
from codegen.kernel import KernelProgram

EVALUATED = 512  # samples evaluated together: enough to fill BLAS, little enough for the cache


def constants(
    spec: str,
    objective: Mapping[str, object],
    sizes: tuple[int, ...],
    parameters: Mapping[str, tuple[int, ...]],
    dtype: str,
    kernels: str = "",
) -> str:
    """Return what a module says of its network; `kernels` holds lines about its kernels."""
    entries = "".join(f"    {name!r}: {shape},\n" for name, shape in parameters.items())
    minimised = "".join(f"{name} = {value!r}\n" for name, value in objective.items())
    return (
        f"SPEC = {spec!r}\n{minimised}DTYPE = np.{dtype}\nSIZES = {sizes}\n"
        f"PARAMETERS = {{\n{entries}}}\n\n{kernels}"
        f"EVALUATED = {EVALUATED}  # samples that are evaluated together\n"
    )


ROWS_SUM_TO_ONE = '''
def _rows_sum_to_one(name, Y):
    """Check what the derivation takes for granted: every row of Y sums to 1."""
    with np.errstate(invalid="ignore"):  # inf - inf is refused below, as NaN is
        totals = Y[:, 0].astype(np.float64)
        for column in Y.T[1:]:  # rows are short: faster than a sum of each
            totals += column
    wrong = np.flatnonzero(~(np.abs(totals - 1) <= 1e-6))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] sums to {totals[wrong[0]]:g}; expected 1, as in a one-hot row"
        )

'''


def reference_lines(reference: KernelProgram, parameters: tuple[str, ...]) -> list[str]:
    """Return a computation by NumPy in the type of what it is given, for the self-check."""
    names = ", ".join(parameters)
    return [
        f"{names} = (params[name] for name in PARAMETERS)",
        "X, Y = X.T, Y.T  # samples last",
        *numpy_lines(reference),
    ]


def docstring(header: str) -> str:
    """Return a header as the docstring of a module."""
    return f'"""{header.rstrip()}\n"""\n'


def fill(name: str, values: Mapping[str, str]) -> str:
    """Return a template of this package, filled in."""
    folder = resources.files("codegen") / "templates"
    return Template((folder / f"{name}.txt").read_text("utf-8")).substitute(values)


def filled_in_turn(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values, those that leave places open filled in with the others."""
    return {
        name: Template(value).substitute(values) if "${" in value else value
        for name, value in values.items()
    }


def indented(lines: list[str], spaces: int) -> str:
    """Return lines as one text, indented."""
    return textwrap.indent("\n".join(lines), " " * spaces)


def tidy(source: str) -> str:
    """Return the source with two blank lines at most, and one at its end."""
    lines: list[str] = []
    for line in source.split("\n"):
        if line.strip() or lines[-2:] != ["", ""]:
            lines.append(line.rstrip())
    return "\n".join(lines).rstrip("\n") + "\n"
