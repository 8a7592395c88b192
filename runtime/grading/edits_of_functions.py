"""Edits of functions and powers."""

from collections.abc import Iterator
from dataclasses import replace

from runtime.grading.edit import Edit, Scope
from runtime.grading.tree import Node, Path, changed, nodes, written

_OTHERS = ("tanh", "exp", "log", "sin", "sigmoid", "relu")


def called_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Call another function, or one too many."""
    for name in sorted({node.name for _, node in nodes(tree) if node.op == "fn"}):
        look = f"look at where {name} belongs"
        for other in _OTHERS:
            # of what is positive, relu is the thing itself: then the function is missing
            if other != name and not (other == "relu" and name in ("log", "exp")):
                what = f"{other} stands where {name} belongs"
                new = _called(tree, name, other)
                yield _edit(statement, new, "wrong-function", what, look, 2.0)
    if scope.at_most < 2.5:
        return
    for path, node in nodes(tree):
        if node.op == "fn" and len(node.args) == 1:
            look = f"look at where {node.name} belongs"
            twice = changed(tree, path, Node("fn", (node,), name=node.name))
            what = f"{node.name} is applied twice"
            yield _edit(statement, twice, "extra-function", what, look, 2.5)
        if path and node.op in ("name", "plus"):
            yield from _applied(statement, tree, path, node)
    if tree.op in ("name", "plus", "matmul"):
        for name in ("tanh", "sigmoid", "relu", "softmax rows"):
            what = f"{name.removesuffix(' rows')} is applied where none belongs"
            new = Node("fn", (tree,), name=name)
            look = "look at the functions that are applied"
            yield _edit(statement, new, "extra-function", what, look, 2.5)


def _applied(statement: str, tree: Node, path: Path, node: Node) -> Iterator[Edit]:
    """Apply a function to a part of a formula, or square it."""
    text, look = written(node), "look at the functions that are applied"
    names = ("log", "exp", "tanh", "abs", "sign", "sigmoid", "softmax rows")
    for name in names if node.op == "name" else ("abs", "sign"):
        called = Node("fn", (node,), name=name)
        what = f"{written(called)} stands where {text} belongs"
        new = changed(tree, path, called)
        yield _edit(statement, new, "extra-function", what, look, 2.6)
    if node.op == "name":
        rest = Node("plus", (Node("number", number=1.0), Node("neg", (node,))))
        what = f"{written(rest)} stands where {text} belongs"
        new = changed(tree, path, rest)
        yield _edit(statement, new, "complement", what, f"look at what is done to {text}", 2.6)
    if node.op == "plus":
        new = changed(tree, path, Node("mul", (node, node)))
        yield _edit(statement, new, "power", f"{text} is squared", "look at the powers", 2.5)


def powers_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Take another power of what is squared, or twice of it: ``h ∘ h → 2 h``."""
    del scope
    for path, node in nodes(tree):
        if node.op != "mul" or len(node.args) != 2 or node.args[0] != node.args[1]:
            continue
        base = node.args[0]
        text = written(base)
        for new, told in (
            (Node("mul", (Node("number", number=2.0), base)), f"twice {text}"),
            (Node("mul", (base, base, base)), f"the third power of {text}"),
        ):
            what = f"{told} stands where its square belongs"
            tree_ = changed(tree, path, new)
            yield _edit(statement, tree_, "power", what, "look at the powers", 2.0)


def _called(tree: Node, old: str, new: str) -> Node:
    """Return a tree that calls another function wherever it calls one."""
    args = tuple(_called(argument, old, new) for argument in tree.args)
    return replace(tree, args=args, name=new if (tree.op, tree.name) == ("fn", old) else tree.name)


def _edit(statement: str, tree: Node, kind: str, what: str, look: str, cost: float) -> Edit:
    return Edit(statement=statement, tree=tree, kind=kind, what=what, look=look, cost=cost)
