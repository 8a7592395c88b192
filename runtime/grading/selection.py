"""Which statements of a student's file are run.

The file's syntax tree decides, before anything is run: the functions that are graded, and the
imports, constants and definitions that they need, directly or through one another. All else,
such as the loop that trains, is left out. A constant is an assignment of literals, names,
arithmetic, comprehensions, lambdas, and calls: of the numerical libraries, of a few harmless
built-ins, of methods of other constants, and of the file's own classes and functions, unless
these use a function that is graded, as what trains does.
"""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from runtime.grading.source import Function, Source, required

FUNCTIONS = ("init_params", "forward", "loss_accuracy", "backward", "sgd")


_LIBRARIES = {"numpy", "torch", "math", "random", "scipy", "cmath", "functools", "operator"}


_HARMLESS = {"float", "int", "bool", "str", "complex", "len", "range", "tuple", "list", "dict"}
_HARMLESS |= {"set", "min", "max", "abs", "round", "sum", "pow", "slice", "type"}


_READING = re.compile(r"load|save|file|open|read|write|memmap|hub|compile|system")


_SETTINGS = {"set_default_dtype", "manual_seed", "seed", "set_default_tensor_type", "seterr"}
_SETTINGS |= {"set_printoptions", "set_grad_enabled", "set_num_threads"}


_ANYTHING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


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
    callable_ = _Callable(source)
    for number, statement in enumerate(body[:end]):
        if _is_wanted(statement, callable_) and _has_all(statement, providers):
            run.add(number)
            callable_.learn(statement)
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


def _functions(body: Sequence[ast.stmt], providers: dict[str, list[int]]) -> dict[str, Function]:
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


def _is_wanted(statement: ast.stmt, known: "_Callable") -> bool:
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
            return plain and _is_constant(value, known)
        case ast.AnnAssign(target=ast.Name(), value=ast.expr() as value):
            return _is_constant(value, known)
        case ast.AugAssign(target=ast.Name(), value=value):
            return _is_constant(value, known)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final_):
            parts = [*body, *(s for h in handlers for s in h.body), *orelse, *final_]
            return all(isinstance(s, ast.Pass) or _is_wanted(s, known) for s in parts)
        case ast.If(test=test, body=body, orelse=orelse) if "__name__" not in _read(test):
            parts = [*body, *orelse]
            return _is_constant(test, known) and all(
                isinstance(s, ast.Pass) or _is_wanted(s, known) for s in parts
            )
        case _:
            return False


def _has_all(statement: ast.stmt, known: Mapping[str, object]) -> bool:
    """Tell whether all that a constant reads is there; ``nx = data.X.shape[1]`` is none."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return True
    if isinstance(statement.value, ast.Lambda) or statement.value is None:
        return True
    free = _read_at_once(statement.value)
    return all(name in known or hasattr(builtins, name) for name in free)


def _is_constant(value: ast.expr, known: "_Callable") -> bool:
    if isinstance(value, ast.Lambda):
        return True  # what it calls, it calls later
    if isinstance(value, ast.Call) and not known.is_harmless(value.func):
        return False
    if isinstance(value, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
        return False
    return all(_is_constant(part, known) for part in _expressions(value))


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Return the expressions right below a node: through keywords, comprehensions and slices."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            yield part
        else:
            yield from _expressions(part)


@final
class _Callable:
    """What a constant may call: the names that the statements before it set."""

    def __init__(self, source: Source) -> None:
        self.libraries = _libraries(source)
        self.loud = {*FUNCTIONS}  # what is graded, and own classes and functions that use it
        self.quiet: set[str] = set()  # the others
        self.constants: set[str] = set()

    def learn(self, statement: ast.stmt) -> None:
        """Note what a statement that may be run defines."""
        names = set(_bound(statement))
        self.quiet -= names
        self.constants -= names
        if isinstance(statement, _ANYTHING):
            kind = self.loud if (_read(statement) | names) & self.loud else self.quiet
            kind |= names
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            self.constants |= names

    def is_harmless(self, called: ast.expr) -> bool:
        """Tell whether a call neither trains, nor reads or writes files."""
        names: list[str] = []
        while isinstance(called, ast.Attribute):
            names.append(called.attr)
            called = called.value
        if isinstance(called, ast.Constant):
            return True  # "Wh bh Wy by".split()
        if not isinstance(called, ast.Name):
            return False
        if not names:
            return called.id in _HARMLESS or called.id in self.libraries | self.quiet
        known = called.id in self.libraries | self.constants | self.quiet
        return known and not any(_READING.search(name) for name in names)


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


def _read_at_once(node: ast.AST) -> set[str]:
    """Return the names that an expression reads from outside when it is evaluated."""
    if isinstance(node, ast.Lambda):
        return set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found = {name for part in ast.iter_child_nodes(node) for name in _read_at_once(part)}
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        found -= {name for part in node.generators for name in _bound_by(part.target)}
    return found


def _bound_by(target: ast.expr) -> set[str]:
    return {inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name)}


def _read(node: ast.AST) -> set[str]:
    """Return every name that is read anywhere in a node."""
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
    }
