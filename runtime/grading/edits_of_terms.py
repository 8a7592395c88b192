"""Edits of factors, terms, signs and brackets."""

from collections.abc import Iterator

from runtime.grading.edit import OVERWRITTEN, Edit, Scope
from runtime.grading.tree import (
    Node,
    Path,
    changed,
    nodes,
    product,
    renamed,
    tensor,
    written,
)


def dropped(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Drop a part: ``a ∘ b → a``, ``a − b → a``, ``A 1 → A``, ``−x → x``, ``f(x) → x``."""
    for path, node in nodes(tree):
        if node.op in ("mul", "plus", "matmul") and len(node.args) > 1:
            for place, lost in enumerate(node.args):
                rest = (*node.args[:place], *node.args[place + 1 :])
                new = rest[0] if len(rest) == 1 else Node(node.op, rest)
                yield _drop(statement, changed(tree, path, new), node, lost, scope)
                if node.op == "plus" and new.op == "neg":  # a − b → b
                    yield Edit(
                        statement=statement,
                        tree=changed(tree, path, new.args[0]),
                        kind="wrong-operand",
                        what=f"{written(new.args[0])} stands where {written(node)} belongs",
                        look="look at the terms that are added",
                        cost=2.2,
                    )
        elif node.op == "neg" and path:
            what = f"the minus before {written(node.args[0])} is missing"
            new_tree = changed(tree, path, node.args[0])
            yield Edit(
                statement=statement,
                tree=new_tree,
                kind="sign",
                what=what,
                look="look at the signs",
                cost=1.5,
            )
        elif node.op == "fn" and len(node.args) == 1:
            places = [place for place, other in nodes(tree) if other == node]
            again = len(places) > 1
            if again and path == places[0]:
                yield Edit(
                    statement=statement,
                    tree=_in_place_of(tree, node, node.args[0]),
                    kind="function-missing",
                    what=f"{node.name} is missing",
                    look=f"look at where {node.name} belongs",
                    cost=2.0,
                )
            line = "above" if path[:1] == (0,) else "below"
            where = f" {line} the fraction line" if again and tree.op == "div" else ""
            yield Edit(
                statement=statement,
                tree=changed(tree, path, node.args[0]),
                kind="function-missing",
                what=f"{node.name} is missing{where}",
                look=f"look at where {node.name} belongs",
                cost=2.0,
            )
        elif node.op == "div":
            below = written(node.args[1])
            what = f"the division by {below} is missing"
            yield Edit(
                statement=statement,
                tree=changed(tree, path, node.args[0]),
                kind="division-missing",
                what=what,
                look="look at what is divided by what",
                cost=2.0,
            )


def _in_place_of(tree: Node, old: Node, new: Node) -> Node:
    """Return a tree with a part exchanged wherever it stands."""
    if tree == old:
        return new
    return Node(
        tree.op, tuple(_in_place_of(a, old, new) for a in tree.args), tree.name, tree.number
    )


def _drop(statement: str, tree: Node, node: Node, lost: Node, scope: Scope) -> Edit:
    text = written(lost)
    if lost == scope.own_slope:
        what = f"the derivative of {scope.activation}, {text}, is missing"
        look = f"look at the factor that comes from {scope.activation}"
        kind, cost = "activation-derivative-missing", 1.5
    elif node.op == "mul" and all(part == lost for part in node.args):
        what = f"{text} stands where its square belongs"
        look, kind, cost = "look at the powers", "power", 2.0
    elif node.op == "plus":
        what = f"the term {text} is missing"
        look, kind, cost = "look at the terms that are added", "term-missing", 2.0
        if lost.op == "neg":
            what = f"the term − {written(lost.args[0])} is missing"
        elif lost.op == "matmul" and any(a.op == "ones" for a in lost.args):
            inner = next(a for a in lost.args if a.op != "ones")
            bias = inner.args[0] if inner.op == "T" else inner
            what = f"the bias {written(bias)} is missing"
    elif node.op == "matmul" and lost.op == "ones":
        what = "the sum over the batch is missing" if lost.name == "B" else "a sum is missing"
        look, kind, cost = "look at what is summed", "reduction-missing", 1.5
    elif node.op == "matmul":
        what = f"the matrix product with {text} is missing"
        look, kind, cost = "look at the factors of the product", "factor-missing", 2.5
    else:
        what = f"the factor {text} is missing"
        look, kind, cost = "look at the factors of the product", "factor-missing", 2.0
    return Edit(statement=statement, tree=tree, kind=kind, what=what, look=look, cost=cost)


def multiplied_more(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Put in a factor too many, entry by entry: a tensor, or a size at an inner place."""
    for path, node in nodes(tree):
        if path and (node.op != "name" or node.name not in scope.shapes):
            continue
        for name, shape in scope.shapes.items():
            if name.startswith(OVERWRITTEN):
                continue
            if path and shape not in (scope.shapes[node.name], (1, 1)):
                continue
            for new, verb in (
                (product(node, tensor(name)), "multiplied"),
                (Node("div", (node, tensor(name))), "divided"),
            ):
                whole = written(node) if path else "the result"
                yield Edit(
                    statement=statement,
                    tree=changed(tree, path, new),
                    kind="extra-factor",
                    what=f"{whole} is {verb} by {name} as well",
                    look="look for a factor that does not belong there",
                    cost=3.0 if verb == "multiplied" else 3.2,
                )
        if path:
            yield from _scaled_inside(statement, tree, path, node)


def _scaled_inside(statement: str, tree: Node, path: Path, node: Node) -> Iterator[Edit]:
    size = Node("size", name="B")
    # where a formula reads it several times, as softmax does, also at all of them
    places = [at for at, other in nodes(tree) if other == node]
    for new, what in (
        (Node("mul", (size, node)), f"{written(node)} is multiplied by B"),
        (Node("div", (node, size)), f"{written(node)} alone is divided by B"),
        (Node("mul", (Node("number", number=2.0), node)), f"{written(node)} is doubled"),
        (Node("div", (node, Node("number", number=2.0))), f"{written(node)} is halved"),
        (Node("neg", (node,)), f"{written(node)} has the wrong sign"),
    ):
        yield Edit(
            statement=statement,
            tree=changed(tree, path, new),
            kind="sign" if new.op == "neg" else "inner-factor",
            what=what,
            look="look at the factors and signs within the formula",
            cost=2.6,
        )
        if len(places) > 1 and path == places[0]:
            yield Edit(
                statement=statement,
                tree=renamed(tree, {node.name: new}),
                kind="sign" if new.op == "neg" else "inner-factor",
                what=what,
                look="look at the factors and signs within the formula",
                cost=2.4,
            )


def divided_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Divide in the place of multiplying: ``a ∘ b → a/b``."""
    del scope
    for path, node in nodes(tree):
        if node.op != "mul" or len(node.args) != 2 or node.args[0] == node.args[1]:
            continue
        for above, below in (node.args, node.args[::-1]):
            yield Edit(
                statement=statement,
                tree=changed(tree, path, Node("div", (above, below))),
                kind="division",
                what=f"{written(above)} is divided by {written(below)}, not multiplied",
                look="look at what is multiplied, and what is divided",
                cost=2.4,
            )


def grouped_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Move brackets: ``(a − b)/c → a − b/c``, ``a(b − c) → ab − c``, ``1 − h² → (1 − h)²``."""
    del scope

    def made(path: Path, new: Node, node: Node) -> Edit:
        return Edit(
            statement=statement,
            tree=changed(tree, path, new),
            kind="brackets",
            what=f"it computes {written(new)}, and not {written(node)}",
            look="look at the brackets",
            cost=2.0,
        )

    for path, node in nodes(tree):
        if node.op == "div" and node.args[0].op == "plus":
            above, below = node.args
            for place, term in enumerate(above.args):
                inner = _divided(term, below)
                yield made(path, changed(above, (place,), inner), node)
        elif node.op == "mul":
            for place, factor in enumerate(node.args):
                if factor.op != "plus":
                    continue
                rest = product(*node.args[:place], *node.args[place + 1 :])
                for at, term in enumerate(factor.args):
                    others = [t for n, t in enumerate(factor.args) if n != at]
                    yield made(path, Node("plus", (product(rest, term), *others)), node)
        elif node.op == "plus" and len(node.args) == 2 and node.args[1].op == "neg":
            first, second = node.args[0], node.args[1].args[0]
            if second.op == "mul" and len(set(second.args)) == 1:
                difference = Node("plus", (first, Node("neg", (second.args[0],))))
                yield made(path, Node("mul", (difference, difference)), node)


def _divided(term: Node, below: Node) -> Node:
    if term.op == "neg":
        return Node("neg", (Node("div", (term.args[0], below)),))
    return Node("div", (term, below))
