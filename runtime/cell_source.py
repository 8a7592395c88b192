"""A cell of a notebook as a file by itself: with what it needs of the cells before it.

Cells are read as syntax trees, and nothing of them is run.
"""

import ast
import re
from collections.abc import Iterator, Sequence

_LINE = re.compile(r"\bline (\d+)\b")
_ELSEWHERE = "an earlier cell"


def cell_source(cell: str, earlier: Sequence[str]) -> str:
    r"""Return the text of a file in which a cell has what earlier cells import and define.

    The first line holds the imports; there stands the name of the magic in the notebook, so
    that line numbers are those that the notebook shows. Functions, classes and constants of
    earlier cells follow behind the cell, the last one of each name, and none that the cell
    defines itself.

    Parameters
    ----------
    cell
        What stands below ``%%grade``.
    earlier
        Cells that were run before, in order, as IPython keeps them.

    Examples
    --------
    >>> print(cell_source("def f():\n    return math.pi * r", ["import math", "r = 2", "r = 3"]))
    import math
    def f():
        return math.pi * r
    r = 3
    """
    own = {name for node in _statements(cell) for name in _defined(node)}
    imports: dict[str, None] = {}
    others: dict[tuple[str, ...], str] = {}
    for node in (node for text in earlier for node in _statements(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports[ast.unparse(node)] = None
        elif (names := _defined(node)) and not own.intersection(names):
            others.pop(names, None)  # what is defined last comes last
            others[names] = ast.unparse(node)
    return "\n".join(["; ".join(imports), cell, *others.values()])


def in_the_cell(report: str, cell: str) -> str:
    """Return a report in which no line is named that lies behind the cell."""
    last = 1 + len(cell.splitlines())
    return _LINE.sub(lambda m: m[0] if int(m[1]) <= last else _ELSEWHERE, report)


def _statements(text: str) -> Iterator[ast.stmt]:
    """Yield the statements of a cell; those of a cell that was graded are its own."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        match node:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(attr="run_cell_magic"),
                    args=[ast.Constant(value="grade"), _, ast.Constant(value=str(body))],
                )
            ):
                yield from _statements(body)
            case _:
                yield node


def _defined(node: ast.stmt) -> tuple[str, ...]:
    """Return the names that a definition, or a constant's assignment, gives."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() | ast.Lambda()):
            return (name,)
        case _:
            return ()
