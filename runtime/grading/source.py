"""A student's file, read but not run."""

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from runtime.errors import InputError
from runtime.files import read_bytes, shown

LONGEST = 1_000_000  # characters


_MAGIC = re.compile(r"^(\s*)(?:[%!].*|\?.*|.*\?)$")


_PARAMETER_KEY = re.compile(r"[wWbB]\w{0,20}")


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that was read.

    Attributes
    ----------
    name
        For messages.
    text
        Python; cells of a notebook one after another.
    tree
        Its syntax tree.
    cells
        Of a notebook, the line of `text` at which each cell begins, and the cell's number.
    """

    name: str
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()

    def place(self, line: int) -> str:
        """Return a line as it is told: ``line 31``, or ``cell 4, line 3``."""
        for first, number in reversed(self.cells):
            if line >= first:
                return f"cell {number}, line {line - first + 1}"
        return f"line {line}"


def read_source(path: Path) -> Source:
    """Read a ``.py`` file or a notebook.

    Raises
    ------
    InputError
        If it cannot be read, or is not Python; the message names the line.
    """
    content = read_bytes(str(path))
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        raise InputError(f"{shown(path)}: is not text. Give a .py file or an .ipynb.") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > LONGEST:
        raise InputError(f"{shown(path)}: has {len(text)} characters; {LONGEST} are graded.")
    name = shown(path)
    cells: list[tuple[int, int]] = []
    if path.suffix == ".ipynb":
        text, cells = _code_of_notebook(text, name)
    try:
        tree = _parsed(text)
    except SyntaxError:
        text = "\n".join(_MAGIC.sub(r"\1pass", line) for line in text.split("\n"))
        tree = _parsed_or_refused(text, name, tuple(cells))
    return Source(name=name, text=text, tree=tree, cells=tuple(cells))


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a student's "\d" is no matter of ours
            return ast.parse(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "too deeply nested") from None


def _parsed_or_refused(text: str, name: str, cells: tuple[tuple[int, int], ...]) -> ast.Module:
    try:
        return _parsed(text)
    except SyntaxError as error:
        empty = Source(name=name, text="", tree=ast.Module(body=[], type_ignores=[]), cells=cells)
        place = f"{empty.place(error.lineno)}: " if error.lineno else ""
        raise InputError(f"{name}: {place}not Python: {error.msg}. Mend that first.") from None


def _code_of_notebook(text: str, name: str) -> tuple[str, list[tuple[int, int]]]:
    try:
        cells = json.loads(text)["cells"]
        sources = [
            (number, "".join(cell["source"]))
            for number, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{name}: is not a notebook. Give a .py file or an .ipynb.") from None
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for number, source in sources:
        starts.append((len(lines) + 1, number))
        code = source.split("\n")
        if code[0].startswith("%%"):
            code = [""] * len(code)  # a cell of another language, or one that is timed
        lines += [_MAGIC.sub(r"\1pass", line) for line in code]
    return "\n".join(lines), starts


def required(function: Function) -> int:
    """Return how many arguments a function must be given."""
    given = function.args
    return len(given.posonlyargs) + len(given.args) - len(given.defaults)


def accepted(function: Function) -> float:
    """Return how many arguments a function can be given by position."""
    given = function.args
    if given.vararg is not None:
        return float("inf")
    return len(given.posonlyargs) + len(given.args)


def argument_names(function: Function) -> list[str]:
    """Return the names of the arguments by position."""
    return [entry.arg for entry in (*function.args.posonlyargs, *function.args.args)]


def parameter_keys(source: Source) -> list[str]:
    """Return the keys with which the file reads what look like parameters, in order."""
    found = [
        (node.lineno, node.col_offset, node.slice.value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and isinstance(node.value, ast.Name)
        and node.value.id.startswith(("param", "weights", "theta"))
        and _PARAMETER_KEY.fullmatch(node.slice.value)
    ]
    return list(dict.fromkeys(key for _, _, key in sorted(found)))


def assignments(function: Function) -> Iterator[tuple[str, int]]:
    """Return what a function assigns, by name or key, with the line, in order of the lines.

    ``dz = …`` gives ``dz``; ``grads["Wh"] = …`` and ``{"Wh": …}`` give ``"Wh"`` in quotes.
    """
    found: list[tuple[int, str]] = []
    for node in ast.walk(function):
        targets: Sequence[ast.expr] = ()
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = (node.target,)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.append((value.lineno, f'"{key.value}"'))
        elif isinstance(node, ast.Call) and _name(node.func) == "dict":
            found += [(k.value.lineno, f'"{k.arg}"') for k in node.keywords]
        for target in targets:
            found += [(node.lineno, name) for name in _targets(target)]  # type: ignore[attr-defined]
    return iter((name, line) for line, name in sorted(found))


def assigned_line(function: Function, key: str) -> int | None:
    """Return the last line in which a function sets what it keeps under a key, if it does."""
    name = variables_by_key(function).get(key, f'"{key}"')
    lines = [at for called, at in assignments(function) if called == name]
    return lines[-1] if lines else None


def variables_by_key(function: Function) -> dict[str, str]:
    """Return which variable a function puts under which key: ``{"by": dby}``, ``g["by"] = dby``."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Name):
                        found[str(key.value)] = value.id
            case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
                for word in keywords:
                    if word.arg is not None and isinstance(word.value, ast.Name):
                        found[word.arg] = word.value.id
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=str() as under))],
                value=ast.Name(id=name),
            ):
                found[under] = name
            case _:
                pass
    return found


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else ""


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            yield f'"{key}"'
        case ast.Subscript(value=ast.Name(id=name)):
            yield name
        case ast.Subscript(value=inner):
            yield from _targets(inner)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _targets(part)
        case _:
            pass
