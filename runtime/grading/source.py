"""A student's file, read but not run: what it defines, and which of its statements are needed.

The file's syntax tree decides, before anything is run: the functions that are graded, and the
imports, constants and definitions that they need, directly or through one another. All else,
such as the loop that trains, is left out. A constant is an assignment of literals, names,
arithmetic, and calls of the numerical libraries or of a few harmless built-ins.
"""

import ast
import builtins
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, final

from runtime.errors import InputError
from runtime.files import read_bytes, shown

FUNCTIONS = ("init_params", "forward", "loss_accuracy", "backward", "sgd")
LONGEST = 1_000_000  # characters

_LIBRARIES = {"numpy", "torch", "math", "random", "scipy", "cmath", "functools", "operator"}
_HARMLESS = {"float", "int", "bool", "str", "complex", "len", "range", "tuple", "list", "dict"}
_HARMLESS |= {"set", "min", "max", "abs", "round", "sum", "pow", "slice", "type"}
_READING = re.compile(r"load|save|file|open|read|write|memmap|hub|compile|system")
_SETTINGS = {"set_default_dtype", "manual_seed", "seed", "set_default_tensor_type", "seterr"}
_SETTINGS |= {"set_printoptions", "set_grad_enabled", "set_num_threads"}
_MAGIC = re.compile(r"^(\s*)(?:[%!].*|\?.*|.*\?)$")
_PARAMETER_KEY = re.compile(r"[wWbB]\w{0,20}")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_ANYTHING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a file is run.

    Attributes
    ----------
    statements
        Numbers of the statements in the file's body, in order.
    functions
        The graded functions that it defines.
    left_out
        Names that the selected statements may need, but that only statements set which are
        not run, with the line of the last.
    uses_torch
        Whether what is run imports PyTorch.
    """

    statements: tuple[int, ...]
    functions: dict[str, Function] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    uses_torch: bool = False


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


def select(source: Source, *, part: int = 1) -> Selection:
    """Return what of a file is run.

    Parameters
    ----------
    source
        The file.
    part
        1 for the lab's Part 1, with a `backward`; 2 for what a file with both holds of Part 2.
        A function that is defined several times counts as it is defined last, but Part 1 ends
        where an `sgd` of two arguments begins.
    """
    body = source.tree.body
    end = _end_of_part_1(body) if part == 1 else len(body)
    providers: dict[str, list[int]] = {}
    run: set[int] = set()
    for number, statement in enumerate(body[:end]):
        if _is_wanted(statement, source) and _has_all(statement, providers):
            run.add(number)
            for name in _bound(statement):
                if isinstance(statement, _ANYTHING):
                    providers[name] = []  # a definition takes the place of those before
                providers.setdefault(name, []).append(number)
    functions = _functions(body, providers)
    if part == 2:
        functions.pop("backward", None)
    chosen: set[int] = set()
    wanted = list(functions)
    seen: set[str] = set()
    left_out: dict[str, int] = {}
    others = [statement for n, statement in enumerate(body[:end]) if n not in run]
    unrun = {name: statement.lineno for statement in others for name in _bound(statement)}
    stars = [n for n, s in enumerate(body[:end]) if isinstance(s, ast.ImportFrom) and _star(s)]
    chosen.update(stars)
    settings = [n for n, s in enumerate(body[:end]) if _is_setting(s)]
    chosen.update(settings)
    wanted += [name for n in settings for name in _read(body[n])]
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in providers and name in unrun:
            left_out[name] = unrun[name]
        for number in providers.get(name, ()):
            if number not in chosen:
                chosen.add(number)
                wanted += sorted(_read(body[number]))
    chosen |= {n for n, s in enumerate(body) if isinstance(s, ast.ImportFrom) and _future(s)}
    order = tuple(sorted(chosen))
    imports = [name for n in order for name in _imported(body[n])]
    return Selection(
        statements=order,
        functions=functions,
        left_out=left_out,
        uses_torch="torch" in imports,
    )


def has_part_2(source: Source) -> bool:
    """Tell whether a file goes on to Part 2 after a `backward` of Part 1."""
    return _end_of_part_1(source.tree.body) < len(source.tree.body)


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
                if isinstance(key, ast.Constant):
                    found.append((value.lineno, f'"{key.value}"'))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "dict":
                found += [(k.value.lineno, f'"{k.arg}"') for k in node.keywords]
        for target in targets:
            found += [(node.lineno, name) for name in _targets(target)]  # type: ignore[attr-defined]
    return iter((name, line) for line, name in sorted(found))


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


def _end_of_part_1(body: Sequence[ast.stmt]) -> int:
    """Return where Part 2 begins: with what is defined anew before the `sgd` of two arguments."""
    places = {name: [n for n, s in enumerate(body) if _defines(s, name)] for name in FUNCTIONS}
    steps = [n for n in places["sgd"] if required(_function(body[n])) == 2]
    if not places["backward"] or not steps or steps[-1] < places["backward"][-1]:
        return len(body)
    if not any(n < steps[-1] for n in places["sgd"] if n not in steps):
        return len(body)
    last = max(n for n in places["sgd"] if n < steps[-1] and n not in steps)
    anew = [n for name in FUNCTIONS for n in places[name] if n > max(last, places["backward"][-1])]
    return min(anew)


def _defines(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == name


def _function(statement: ast.stmt) -> ast.FunctionDef:
    assert isinstance(statement, ast.FunctionDef)
    return statement


def _functions(
    body: Sequence[ast.stmt], providers: dict[str, list[int]]
) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for name in FUNCTIONS:
        for number in providers.get(name, ()):
            match body[number]:
                case ast.FunctionDef() | ast.AsyncFunctionDef() as function:
                    found[name] = function
                case ast.Assign(value=ast.Lambda() as function):
                    found[name] = function
                case ast.Assign(value=ast.Name(id=other)):
                    for place in providers.get(other, ()):
                        if isinstance(body[place], ast.FunctionDef):
                            found[name] = _function(body[place])
                case _:
                    pass
    return found


def _is_wanted(statement: ast.stmt, source: Source) -> bool:
    """Tell whether a statement is an import, a constant, a definition or a library's setting."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign(value=ast.Lambda()):
            return True
        case ast.Assign(targets=targets, value=value):
            plain = all(isinstance(t, ast.Name | ast.Tuple | ast.List) for t in targets)
            return plain and _is_constant(value, source)
        case ast.AnnAssign(target=ast.Name(), value=ast.expr() as value):
            return _is_constant(value, source)
        case ast.AugAssign(target=ast.Name(), value=value):
            return _is_constant(value, source)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final_):
            parts = [*body, *(s for h in handlers for s in h.body), *orelse, *final_]
            return all(isinstance(s, ast.Pass) or _is_wanted(s, source) for s in parts)
        case ast.If(test=test, body=body, orelse=orelse) if "__name__" not in _read(test):
            parts = [*body, *orelse]
            return _is_constant(test, source) and all(
                isinstance(s, ast.Pass) or _is_wanted(s, source) for s in parts
            )
        case _:
            return False


def _has_all(statement: ast.stmt, known: Mapping[str, object]) -> bool:
    """Tell whether all that a constant reads is there; ``nx = data.X.shape[1]`` is none."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return True
    if isinstance(statement.value, ast.Lambda) or statement.value is None:
        return True
    free = _read(statement.value)
    return all(name in known or hasattr(builtins, name) for name in free)


def _is_constant(value: ast.expr, source: Source) -> bool:
    libraries = _libraries(source)
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and not _is_harmless(node.func, libraries):
            return False
        if isinstance(node, ast.Lambda | ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return False
    return True


def _is_harmless(called: ast.expr, libraries: set[str]) -> bool:
    """Tell whether a call is of a numerical library, and neither reads nor writes files."""
    names: list[str] = []
    while isinstance(called, ast.Attribute):
        names.append(called.attr)
        called = called.value
    if not isinstance(called, ast.Name):
        return False
    if not names:
        return called.id in _HARMLESS or called.id in libraries
    return called.id in libraries and not any(_READING.search(name) for name in names)


def _libraries(source: Source) -> set[str]:
    found: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in _LIBRARIES:
                    found.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _LIBRARIES:
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def _is_setting(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name in _SETTINGS
        case _:
            return False


def _star(statement: ast.ImportFrom) -> bool:
    return any(alias.name == "*" for alias in statement.names)


def _future(statement: ast.ImportFrom) -> bool:
    return statement.module == "__future__"


def _imported(statement: ast.stmt) -> list[str]:
    """Return the top-level packages that a statement imports, inside of functions too."""
    found: list[str] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "").partition(".")[0])
    return found


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that a statement sets at the top level of the file."""
    found: list[str] = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.append(node.name)
                continue
            case ast.Import() | ast.ImportFrom():
                found += [a.asname or a.name.partition(".")[0] for a in node.names]
                continue
            case ast.Lambda():
                continue
            case ast.Name(ctx=ast.Store()):
                found.append(node.id)
            case _:
                pass
        pending += ast.iter_child_nodes(node)
    return found


def _read(node: ast.AST) -> set[str]:
    """Return every name that is read anywhere in a node."""
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
    }
