"""Show a kernel programme at any stage, one line a node; a broken one still prints."""

from codegen.kernel import (
    Argument,
    Binary,
    Call,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Negative,
    Node,
    Reduce,
    Select,
    Update,
    Value,
    writes,
)


def show(program: KernelProgram) -> str:
    """Return the programme as text: its name and type, then its nodes in order."""
    head = f"{program.name}, {program.dtype} -> {', '.join(program.outputs)}"
    return "\n".join(
        [head, *(f"  {show_node(node)}{_places(program, node)}" for node in program.nodes)]
    )


def _places(program: KernelProgram, node: Node) -> str:
    """Say of what a node writes where it lies, unless that is memory of its own."""
    buffers = {buffer.name: buffer for buffer in program.buffers}
    places = []
    for name in writes(node):
        if (buffer := buffers.get(name)) and buffer.role == "register":
            places.append(f"{name} in a register")
        elif buffer and buffer.room:
            places.append(f"{name} in {buffer.room}")
    return "   " + ", ".join(places) if places else ""


def show_node(node: Node) -> str:
    """Return one node as text."""
    match node:
        case Contract():
            start = f"{show_value(node.start)} + " if node.start else ""
            product = f"{show_value(node.left)}·{show_value(node.right)}"
            body = f"{start}{_scaled(node.alpha)}sum_{node.axis} {product}"
            method = "" if node.method == "undecided" else f"   by {node.method}"
            return f"{_entry(node.out, node.out_axes)} {_sign(node.beta)} {body}{method}"
        case Elementwise():
            return "; ".join(
                f"{_entry(store.buffer, store.axes)} := {show_value(store.value)}"
                for store in node.stores
            )
        case Reduce():
            body = f"{_scaled(node.alpha)}{node.op}_{node.axis} {show_value(node.value)}"
            return f"{_entry(node.out, node.out_axes)} {_sign(node.beta)} {body}"
        case Update():
            return f"{node.parameter} += -{show_value(node.rate)}·{node.gradient}"


def show_value(value: Value) -> str:
    """Return a value as text, every operation in parentheses."""
    match value:
        case Const(value=number):
            return f"{number:g}"
        case Argument(name=name):
            return name
        case Load(buffer=buffer, axes=axes):
            return _entry(buffer, axes)
        case Binary(op=op, left=left, right=right):
            return f"({show_value(left)} {op} {show_value(right)})"
        case Negative(value=inner):
            return f"-{show_value(inner)}"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(show_value, arguments))})"
        case Select(op=op, left=left, right=right, then=then, otherwise=otherwise):
            test = f"{show_value(left)} {op} {show_value(right)}"
            return f"where({test}, {show_value(then)}, {show_value(otherwise)})"


def _entry(buffer: str, axes: tuple[str, ...]) -> str:
    return f"{buffer}[{','.join(axes)}]" if axes else buffer


def _sign(beta: int) -> str:
    return "+=" if beta else ":="


def _scaled(alpha: Value) -> str:
    return "" if alpha == Const(1.0) else f"{show_value(alpha)}·"
