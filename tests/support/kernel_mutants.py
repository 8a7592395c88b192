"""Wrong kernel programmes: what every check of kernels must reject.

Each mutant takes a programme and returns it with one mistake. Where a mistake has no place
in a programme, it raises `NoPlace`, so that no test passes because nothing was changed.
"""

from collections.abc import Callable
from dataclasses import replace

from codegen.kernel import (
    Binary,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Negative,
    Node,
    Reduce,
    Store,
    Update,
    Value,
    parts,
    reads,
    rebuild,
    writes,
)

Mutant = Callable[[KernelProgram], KernelProgram]


class NoPlace(Exception):  # not an error: the mistake does not fit here
    """The programme has nothing that this mistake could be made in."""


def with_node(
    program: KernelProgram, chosen: Callable[[Node], bool], changed: Callable[[Node], Node]
) -> KernelProgram:
    """Return `program` with the last node of the chosen kind changed."""
    for number, node in reversed(list(enumerate(program.nodes))):
        if chosen(node):
            new = changed(node)
            assert new != node
            return replace(
                program, nodes=(*program.nodes[:number], new, *program.nodes[number + 1 :])
            )
    raise NoPlace


def flip_sign_of_update(program: KernelProgram) -> KernelProgram:
    """``W := W + eta dW``."""

    def flip(node: Node) -> Node:
        assert isinstance(node, Update)
        return replace(node, rate=Negative(node.rate))

    return with_node(program, lambda node: isinstance(node, Update), flip)


def flip_sign_of_product(program: KernelProgram) -> KernelProgram:
    """``dW := -dZᵀ H``."""

    def flip(node: Node) -> Node:
        assert isinstance(node, Contract)
        alpha = node.alpha.value if isinstance(node.alpha, Negative) else Negative(node.alpha)
        return replace(node, alpha=alpha)

    return with_node(program, lambda node: isinstance(node, Contract), flip)


def drop_factor(program: KernelProgram) -> KernelProgram:
    """``dZ := dH`` in the place of ``dH ∘ (1 − H ∘ H)``."""
    return _in_elementwise(program, _first_factor_dropped)


def drop_term(program: KernelProgram) -> KernelProgram:
    """``dZ := P`` in the place of ``P − Y``."""
    return _in_elementwise(program, _second_term_dropped)


def drop_mean(program: KernelProgram) -> KernelProgram:
    """Leave the samples' weights, which make a mean of a sum, out everywhere."""

    def without(node: Node) -> Node:
        match node:
            case Elementwise():
                stores = tuple(
                    replace(store, value=_without_weight(store.value)) for store in node.stores
                )
                return replace(node, stores=stores)
            case Reduce():
                return replace(node, value=_without_weight(node.value))
            case _:
                return node

    changed = replace(program, nodes=tuple(without(node) for node in program.nodes))
    if changed == program:
        raise NoPlace
    return changed


def transpose_operand(program: KernelProgram) -> KernelProgram:
    """``dH := dZ Wᵀ`` in the place of ``dZ W``, where the shapes allow it."""

    def is_square(node: Node) -> bool:
        if not isinstance(node, Contract):
            return False
        rows, columns = program.buffer(node.left.buffer).shape
        return rows == columns

    def transpose(node: Node) -> Node:
        assert isinstance(node, Contract)
        return replace(node, left=Load(node.left.buffer, node.left.axes[::-1]))

    return with_node(program, is_square, transpose)


def drop_bias(program: KernelProgram) -> KernelProgram:
    """A product that starts from 0 in the place of the bias."""
    return with_node(
        program,
        lambda node: isinstance(node, Contract) and node.start is not None,
        lambda node: replace(node, start=None),  # type: ignore[call-arg]
    )


def overwrite(program: KernelProgram) -> KernelProgram:
    """``W := -eta dZᵀ H``: what was there is lost."""
    return with_node(
        program,
        lambda node: isinstance(node, Contract | Reduce) and node.beta == 1,
        lambda node: replace(node, beta=0),  # type: ignore[call-arg]
    )


def wrong_reduction(program: KernelProgram) -> KernelProgram:
    """The largest entry in the place of the sum."""
    return with_node(
        program,
        lambda node: isinstance(node, Reduce) and node.op == "sum",
        lambda node: replace(node, op="max"),  # type: ignore[call-arg]
    )


def move_up(program: KernelProgram) -> KernelProgram:
    """Change a parameter as soon as that is possible: who reads the old value sees the new."""
    nodes = program.nodes
    parameters = {buffer.name for buffer in program.buffers if buffer.role == "parameter"}
    for number, node in reversed(list(enumerate(nodes))):
        changed = parameters.intersection(writes(node))
        needed = set(reads(node)) - changed
        place = 1 + max((n for n in range(number) if needed & set(writes(nodes[n]))), default=-1)
        if any(changed & set(reads(other)) for other in nodes[place:number]):
            moved = (*nodes[:place], node, *nodes[place:number], *nodes[number + 1 :])
            return replace(program, nodes=moved)
    raise NoPlace


EVERY: dict[str, Mutant] = {
    "sign of an update": flip_sign_of_update,
    "sign of a product": flip_sign_of_product,
    "dropped factor": drop_factor,
    "dropped term": drop_term,
    "missing mean": drop_mean,
    "transposed operand": transpose_operand,
    "dropped bias": drop_bias,
    "old value lost": overwrite,
    "max for sum": wrong_reduction,
    "step before its readers": move_up,
}


def _in_elementwise(
    program: KernelProgram, mistake: Callable[[Value], Value | None]
) -> KernelProgram:
    """Return `program` with a mistake in the last elementwise value that has a place for it."""

    def made(node: Node) -> Elementwise | None:
        if not isinstance(node, Elementwise):
            return None
        for number, store in reversed(list(enumerate(node.stores))):
            value = mistake(store.value)
            if value is not None:
                stores: list[Store] = list(node.stores)
                stores[number] = replace(store, value=value)
                return replace(node, stores=tuple(stores))
        return None

    return with_node(program, lambda node: made(node) is not None, lambda node: made(node) or node)


def _first_factor_dropped(value: Value) -> Value | None:
    if isinstance(value, Binary) and value.op == "*":
        return value.right
    return _in_parts(value, _first_factor_dropped)


def _second_term_dropped(value: Value) -> Value | None:
    if isinstance(value, Binary) and value.op in "+-":
        return value.left
    return _in_parts(value, _second_term_dropped)


def _in_parts(value: Value, mistake: Callable[[Value], Value | None]) -> Value | None:
    inner = list(parts(value))
    for number, part in enumerate(inner):
        changed = mistake(part)
        if changed is not None:
            inner[number] = changed
            return rebuild(value, tuple(inner))
    return None


def _without_weight(value: Value) -> Value:
    if isinstance(value, Load) and value.buffer == "w":
        return Const(1.0)
    return rebuild(value, tuple(_without_weight(part) for part in parts(value)))
