"""Elementary functions in C: the text of the ones of numbers, written for vectors.

The arithmetic is that of `codegen.approximation`, operation by operation. A vector knows
operators and comparisons in C as a number does, so that one text serves both::

    a if test else b                  v_where(test, a, b)
    np.float32(x).view(np.int32)      bits_of(x)
    np.int32(n).view(np.float32)      of_bits(n)
    n >> 23, of a signed n            shift_right(n, 23)
    np.copysign(a, b), abs(a)         v_copysign(a, b), v_abs(a)
    np.float32(1.5)                   1.5f, and v_all(1.5f) where a vector must stand
    math.sin(x) if test else b        any_lane(test) ? v_where(test, library_sin(x), b) : b

Integers are unsigned in C, where they wrap as they do in Python's text; the arithmetic shift
is a function for that reason. What has no arithmetic of its own calls the C library, once a
lane.
"""

import ast

import numpy as np

from codegen.approximation import BOUNDED, KNOWN, ElementaryFunction, with_needed
from codegen.errors import InternalError
from codegen.kernel import Dtype

# functions that are left to the C library; "pow" takes two arguments
LIBRARY = ("sqrt", "pow")
PROVIDED = ("abs",)  # by the template
_LONG = 1e16  # from here on a whole number is written with an exponent
# names that <math.h> defines as macros
_RENAMED = {"NAN": "NO_NUMBER", "OVERFLOW": "LARGEST", "UNDERFLOW": "SMALLEST"}
_INTEGERS = ("int32", "int64")
_REALS = ("float32", "float64")
_PRECEDENCE = {ast.Add: 3, ast.Sub: 3, ast.Mult: 4, ast.Div: 4}
_BITS = 5  # what shifts or masks stands in brackets, and so do its sides
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.LShift: "<<"}
_SIGNS |= {ast.BitAnd: "&"}
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="}


def literal(number: float, dtype: Dtype) -> str:
    """Return a number of the type, as C writes it."""
    with np.errstate(over="ignore", under="ignore"):
        value = np.dtype(dtype).type(number)
    if np.isnan(value):
        return "(T)NAN"
    if np.isinf(value):
        return "(T)INFINITY" if value > 0 else "(-(T)INFINITY)"
    whole = float(value).is_integer() and abs(value) < _LONG
    written = f"{value:.1f}" if whole else str(value)
    written += "f" if dtype == "float32" else ""
    return f"({written})" if written.startswith("-") else written


def function_sources(names: list[str], dtype: Dtype) -> list[str]:
    """Return the source of the functions ``v_NAME``, those that others need first.

    Raises
    ------
    InternalError
        If a function is not known, or its text holds what C's vectors do not have.
    """
    functions: dict[str, ElementaryFunction | None] = {}  # those of the library: None
    for name in names:
        if name in KNOWN:
            functions |= {function.name: function for function in with_needed(name, dtype)}
        elif name not in PROVIDED:
            functions[name] = None
    bounded = [name for name in functions if name in BOUNDED]
    return [
        *([_any_lane(dtype)] if bounded else []),
        *(_by_lane(name, dtype, own=f"library_{name}") for name in bounded),
        *(
            _Translation(function, dtype).source() if function else _by_lane(name, dtype, own=name)
            for name, function in functions.items()
        ),
    ]


def _any_lane(dtype: Dtype) -> str:
    word = f"uint{8 * np.dtype(dtype).itemsize}_t"
    return f"""\
/* Whether a test holds for any lane. */
PRIVATE int any_lane(words test)
{{
    {word} one[LANES], any = 0;
    memcpy(one, &test, sizeof test);
    for (int s = 0; s < LANES; s++)
        any |= one[s];
    return any != 0;
}}
"""


def _by_lane(name: str, dtype: Dtype, *, own: str) -> str:
    if name not in (*LIBRARY, *KNOWN):
        raise InternalError(f"the function {name} has no form in C")
    call = f"{name}f" if dtype == "float32" else name
    if name == "pow":
        head, copies, arguments = "lanes x, lanes y", ["x", "y"], "one_x[s], one_y[s]"
    else:
        head, copies, arguments = "lanes x", ["x"], "one_x[s]"
    lines = [f"/* C's own {call}, lane by lane. */", f"static inline lanes v_{own}({head})", "{"]
    for variable in copies:
        lines += [
            f"    T one_{variable}[LANES];",
            f"    memcpy(one_{variable}, &{variable}, sizeof {variable});",
        ]
    lines += [
        "    for (int s = 0; s < LANES; s++)",
        f"        one_x[s] = {call}({arguments});",
        "    memcpy(&x, one_x, sizeof x);",
        "    return x;",
        "}",
    ]
    return "\n".join(lines) + "\n"


class _Translation:
    """The lines of one function while they are written."""

    def __init__(self, function: ElementaryFunction, dtype: Dtype) -> None:
        self.function = function
        self.dtype = dtype
        self.words: set[str] = set()  # variables that hold integers, or the result of a test
        self.declared: set[str] = set()

    def source(self) -> str:
        """Return the C source."""
        (definition,) = ast.parse(self.function.source).body
        assert isinstance(definition, ast.FunctionDef)
        docstring, *statements = definition.body
        text = (ast.get_docstring(definition) or "").split("\n")
        lines = [f"/* {text[0]}", *(f" * {line}".rstrip() for line in text[1:]), " */"]
        lines += [f"static inline lanes v_{self.function.name}(lanes x)", "{"]
        by_line = {statement.lineno: statement for statement in statements}
        for number, line in enumerate(self.function.source.split("\n"), start=1):
            if number <= (docstring.end_lineno or 0):
                continue
            code, _, comment = line.partition("#")
            note = f"  // {comment.strip()}" if comment else ""
            if number in by_line:
                lines.append(f"    {self.statement(by_line[number])};{note}")
            elif comment and not code.strip():
                lines.append(f"    {note.strip()}")
            elif code.strip():
                raise InternalError(f"{self.function.name}: line {number} has no form in C")
        return "\n".join([*lines, "}"]) + "\n"

    def statement(self, node: ast.stmt) -> str:
        match node:
            case ast.Return(value=ast.expr() as value):
                return f"return {self.vector(value)}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                kind = "lanes"
                written = self.vector(value)
                if self.is_words(value):
                    self.words.add(name)
                    kind = "words"
                    written = self.text(value, 0)
                    if isinstance(value, ast.Compare):
                        written = f"(words)({written})"
                if name in self.declared or name == "x":
                    return f"{name} = {written}"
                self.declared.add(name)
                constant = "const " if name.isupper() else ""
                return f"{constant}{kind} {_RENAMED.get(name, name)} = {written}"
            case _:
                raise InternalError(f"{self.function.name}: {ast.dump(node)} has no form in C")

    def is_words(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.words
            case ast.BinOp(left=left):
                return self.is_words(left)
            case ast.Compare():
                return True
            case ast.Call(func=ast.Attribute(attr="view"), args=[ast.Attribute(attr=kind)]):
                return kind in _INTEGERS
            case ast.Call(func=ast.Attribute(attr=kind)):
                return kind in _INTEGERS
            case _:
                return False

    def vector(self, node: ast.expr) -> str:
        """Return an expression where a vector must stand."""
        number = self.number(node)
        return self.text(node, 0) if number is None else f"v_all({number})"

    def number(self, node: ast.expr) -> str | None:
        """Return a number of the type, or None if the expression is something else."""
        match node:
            case ast.Call(func=ast.Attribute(attr=kind), args=[inner]) if kind in _REALS:
                return self.number(inner)
            case ast.Attribute(attr="inf"):
                return "(T)INFINITY"
            case ast.Attribute(attr="nan"):
                return "(T)NAN"
            case ast.Constant(value=float(value)):
                return literal(value, self.dtype)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inside = self.number(operand)
                return None if inside is None else f"(-{inside})"
            case _:
                return None

    def text(self, node: ast.expr, outer: int) -> str:
        number = self.number(node)
        if number is not None:
            return number
        match node:
            case ast.Name(id=name):
                return _RENAMED.get(name, name)
            case ast.Constant(value=int(value)):
                return str(value) if value < 256 else f"0x{value:X}"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"-{self.text(operand, _BITS)}"
            case ast.BinOp(left=left, op=ast.RShift(), right=right):
                return f"shift_right({self.text(left, 0)}, {self.text(right, 0)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
                own = _PRECEDENCE.get(type(op), _BITS)
                sides = f"{self.text(left, own)} {_SIGNS[type(op)]} {self.text(right, own + 1)}"
                return f"({sides})" if own < outer or (own == _BITS and outer) else sides
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"{self.text(left, 0)} {_COMPARISONS[type(op)]} {self.text(right, 0)}"
            case ast.IfExp(
                test=test,
                body=ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name), args=[x]),
                orelse=otherwise,
            ):
                condition, kept = self.text(test, 0), self.vector(otherwise)
                rare = f"v_where({condition}, v_library_{name}({self.vector(x)}), {kept})"
                return f"any_lane((words)({condition})) ? {rare} : {kept}"
            case ast.IfExp(test=test, body=then, orelse=otherwise):
                condition = self.text(test, 0)
                return f"v_where({condition}, {self.vector(then)}, {self.vector(otherwise)})"
            case ast.Call(
                func=ast.Attribute(value=ast.Call(args=[inner]), attr="view"),
                args=[ast.Attribute(attr=kind)],
            ):
                return f"{'of_bits' if kind in _REALS else 'bits_of'}({self.text(inner, 0)})"
            case ast.Call(func=ast.Attribute(attr=kind), args=[inner]) if kind in _INTEGERS:
                return self.text(inner, outer)
            case ast.Call(func=ast.Attribute(attr="copysign"), args=[one, other]):
                return f"v_copysign({self.vector(one)}, {self.vector(other)})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return f"v_{name}({', '.join(self.vector(a) for a in arguments)})"
            case _:
                raise InternalError(f"{self.function.name}: {ast.unparse(node)} has no form in C")
