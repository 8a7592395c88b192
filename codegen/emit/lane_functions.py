"""Elementary functions of vectors: the text of the ones of numbers, written for lanes.

A vector knows arithmetic and comparisons. What the text of a function has beside these is a
selection, which must not be a branch, and the bits of a number::

    a if test else b                  where(test, a, b)
    np.float32(x).view(np.int32)      bits(x)
    np.int32(n).view(np.float32)      from_bits(n)
    np.int32(n)                       n
    np.copysign(a, b)                 copysign(a, b)
    math.sin(x) if test else b        where(test, library_sin(x), b) if any_lane(test) else b

Nothing else changes, ``fma`` of vectors being `FMA`: the operations stay the same ones in the
same order, and so does every bit of the result. The C library's functions, which are called for
numbers beyond a range, are the one branch: a vector is seldom there.
"""

import ast

from codegen.approximation import ElementaryFunction
from codegen.errors import InternalError

FMA = """\
# x·y + z, rounded once: by a processor without such an instruction, twice
fma = _function(_REALS, _llvm("fmuladd", 3))
"""
# whether a test holds for any lane
ANY_LANE = """\
any_lane = _function(
    types.boolean,
    lambda builder, mask: builder.icmp_unsigned(
        "!=", builder.bitcast(mask, ir.IntType(LANES)), ir.IntType(LANES)(0)
    ),
)
"""
_INTEGERS = ("int32", "int64")
_REALS = ("float32", "float64")


def lane_source(function: ElementaryFunction) -> str:
    """Return the source of `function` for vectors, under the same name.

    Raises
    ------
    InternalError
        If the source holds what vectors do not have, such as a branch.
    """
    tree = ast.parse(function.source)
    lines = [line.encode() for line in function.source.split("\n")]  # columns count bytes
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.For | ast.While | ast.BoolOp):
            raise InternalError(
                f"{function.name}: line {node.lineno} of its source cannot be written for vectors"
            )
        if isinstance(node, ast.Assign | ast.Return) and node.value is not None:
            value = node.value
            line = lines[value.lineno - 1]
            written = _written(value, line)
            if isinstance(value, ast.Call):  # nothing is left that parentheses would hold together
                written = (
                    written.removeprefix("(").removesuffix(")") if written[0] == "(" else written
                )
            before, after = line[: value.col_offset], line[value.end_col_offset :]
            lines[value.lineno - 1] = before + written.encode() + after
    return b"\n".join(lines).decode()


def _written(node: ast.expr, line: bytes) -> str:
    """Return the text of an expression of one line, written for vectors."""
    match node:
        case ast.IfExp(
            test=test,
            body=ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name), args=[x]),
            orelse=ast.Name(id=otherwise),
        ):
            condition = _written(test, line)
            rare = f"where({condition}, library_{name}({_written(x, line)}), {otherwise})"
            return f"{rare} if any_lane({condition}) else {otherwise}"
        case ast.IfExp(test=test, body=then, orelse=otherwise):
            return _call("where", line, test, then, otherwise)
        case ast.Call(
            func=ast.Attribute(value=ast.Call(args=[inner]), attr="view"),
            args=[ast.Attribute(attr=kind)],
        ):
            return _call("from_bits" if kind in _REALS else "bits", line, inner)
        case ast.Call(func=ast.Attribute(attr="copysign"), args=arguments):
            return _call("copysign", line, *arguments)
        case ast.Call(func=ast.Attribute(attr=kind), args=[inner]) if kind in _INTEGERS:
            text = _written(inner, line)
            return f"({text})" if isinstance(inner, ast.BinOp) else text
    # all else is kept as it is written, but for its parts
    text, end = "", node.col_offset
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            text += line[end : part.col_offset].decode() + _written(part, line)
            end = part.end_col_offset or end
    return text + line[end : node.end_col_offset].decode()


def _call(function: str, line: bytes, *arguments: ast.expr) -> str:
    return f"{function}({', '.join(_written(argument, line) for argument in arguments)})"
