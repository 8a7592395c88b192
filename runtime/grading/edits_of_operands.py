"""Edits of what is read, and of slopes."""

from collections.abc import Iterator

from runtime.grading.edit import OVERWRITTEN, Edit, Scope
from runtime.grading.tree import (
    Node,
    changed,
    nodes,
    product,
    reads,
    renamed,
    tensor,
    transposed,
    written,
)

_NO_SLOPE = 2.4  # what it costs to take something for a derivative that is none


def exchanged(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Read a tensor in the place of another, at one place or wherever it stands."""
    present = {name for name in reads(tree) if name in scope.shapes}
    for old in sorted(present):
        inside = scope.own_slope is not None and old in reads(scope.own_slope)
        places = [path for path, node in nodes(tree) if node == tensor(old)]
        for new in scope.shapes:
            if new == old or (scope.shapes[new] != scope.shapes[old] and scope.at_most < 2.8):
                continue
            everywhere = renamed(tree, {old: tensor(new)})
            yield _exchange(statement, everywhere, old, new, scope, inside)
            if len(places) > 1:
                for path in places:
                    one = changed(tree, path, tensor(new))
                    edit = _exchange(statement, one, old, new, scope, inside)
                    yield edit
        if inside:
            for name in sorted({scope.activation, "tanh"} & _CALLABLE):
                called = Node("fn", (tensor(old),), name=name)
                yield _elsewhere(
                    statement, renamed(tree, {old: called}), scope, old, written(called)
                )
        turned_names = [n for n, s in scope.shapes.items() if s[::-1] == scope.shapes[old] != s]
        for new in turned_names:
            tree_ = renamed(tree, {old: transposed(tensor(new))})
            yield _exchange(statement, tree_, old, f"{new}ᵀ", scope, inside, extra=1.0)


_CALLABLE = {"tanh", "sin", "exp"}


def _exchange(
    statement: str,
    tree: Node,
    old: str,
    new: str,
    scope: Scope,
    inside: bool,
    extra: float = 0.0,
) -> Edit:
    if new.startswith(OVERWRITTEN):
        return Edit(
            statement=statement,
            tree=tree,
            kind="in-place",
            what=f"{old} is read after it has been changed in place",
            look=f"look at what happens to {old} before it is used",
            cost=1.5 if new == f"{OVERWRITTEN}{old}" else 4.0,
        )
    if inside and new in scope.shapes and scope.shapes[new] == scope.shapes[old]:
        return _elsewhere(statement, tree, scope, old, new)
    same = scope.shapes.get(new) == scope.shapes.get(old)
    above, activation = scope.before.get(old, ("", ""))
    if new == above:
        return Edit(
            statement=statement,
            tree=tree,
            kind="activation-derivative-missing",
            what=f"{new} stands where {old} belongs: the derivative of {activation} is missing",
            look=f"look at the factor that comes from {activation}",
            cost=2.0,
        )
    return Edit(
        statement=statement,
        tree=tree,
        kind="wrong-operand",
        what=f"{new} stands where {old} belongs",
        look=f"look at which tensor is used in the place of {old}",
        cost=(2.0 if same else 2.8) + extra,
    )


def _elsewhere(statement: str, tree: Node, scope: Scope, old: str, new: str) -> Edit:
    return Edit(
        statement=statement,
        tree=tree,
        kind="activation-derivative-elsewhere",
        what=f"the derivative of {scope.activation} is written with {new} where {old} belongs",
        look=f"look at the factor that comes from {scope.activation}",
        cost=1.8,
    )


def chosen(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Take for the labels what a tensor itself chooses: 1 where a row is largest, else 0."""
    if "Y" not in scope.shapes or "Y" not in reads(tree):
        return
    for name, shape in scope.shapes.items():
        if name != "Y" and shape == scope.shapes["Y"] and not name.startswith(OVERWRITTEN):
            yield Edit(
                statement=statement,
                tree=renamed(tree, {"Y": Node("fn", (tensor(name),), name="choice rows")}),
                kind="wrong-operand",
                what=f"the largest entry of each row of {name} is taken, and not that of the class "
                "that Y names",
                look="look at which class is taken: that of Y, or another?",
                cost=2.4,
            )


def sloped_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Take the derivative of another activation, or something that is none."""
    if scope.own_slope is not None:
        for path, node in nodes(tree):
            if node != scope.own_slope:
                continue
            for factor in scope.slopes:
                if factor.tree == node:
                    continue
                text = written(factor.tree)
                own = factor.activation == scope.activation
                if own:
                    what = (
                        f"the derivative of {scope.activation} is taken with {factor.at}: "
                        f"{text}, not {written(node)}"
                    )
                else:
                    what = (
                        f"the derivative of {factor.activation}, {text}, stands where that of "
                        f"{scope.activation}, {written(node)}, belongs"
                    )
                yield Edit(
                    statement=statement,
                    tree=changed(tree, path, factor.tree),
                    kind="activation-derivative-elsewhere"
                    if own
                    else "wrong-activation-derivative",
                    what=what,
                    look=f"look at the factor that comes from {scope.activation}",
                    cost=2.0,
                )
        if scope.at_most >= _NO_SLOPE:
            yield from _no_slope(statement, tree, scope, scope.own_slope)


def sloped_more(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Multiply by a derivative where none belongs, or twice."""
    for path, node in [((), tree), *nodes(tree)]:
        if path and (node.op != "name" or node.name not in scope.shapes):
            continue
        for factor in scope.slopes:
            again = factor.tree == scope.own_slope
            cost = 2.8 if path else 2.0 if again else 2.2
            if cost > scope.at_most:
                continue
            text = written(factor.tree)
            yield Edit(
                statement=statement,
                tree=changed(tree, path, product(node, factor.tree)),
                kind="extra-factor",
                what=(
                    f"the derivative of {factor.activation}, {text}, is multiplied in twice"
                    if again
                    else f"there is one factor too many: {text}, the derivative of "
                    f"{factor.activation} at {factor.at}"
                ),
                look="look for a factor that does not belong there",
                cost=cost,
            )


def _no_slope(statement: str, tree: Node, scope: Scope, slope: Node) -> Iterator[Edit]:
    """Put something in the place of the slope that is none: a tensor, a part of it, its root."""
    known = {scope.shapes[name] for name in reads(slope) if name in scope.shapes}
    others = [tensor(name) for name, shape in scope.shapes.items() if shape in known]
    others += [part for _, part in nodes(slope) if part.op == "mul"]
    others.append(Node("fn", (slope,), name="sqrt"))
    for path, node in nodes(tree):
        if node != slope:
            continue
        for other in others:
            yield Edit(
                statement=statement,
                tree=changed(tree, path, other),
                kind="wrong-activation-derivative",
                what=f"{written(other)} stands where the derivative of {scope.activation}, "
                f"{written(slope)}, belongs",
                look=f"look at the factor that comes from {scope.activation}",
                cost=_NO_SLOPE,
            )


def replaced_whole(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Put another tensor, zeros, or another derivation in the place of the whole statement."""
    for kind, what, new, cost, free in scope.whole:
        yield Edit(
            free=free,
            statement=statement,
            tree=new,
            kind=kind,
            what=what,
            look="look at what is differentiated, and by what",
            cost=cost,
        )
    for name in scope.shapes:
        cost = 2.2 if name in scope.results else 3.2
        if tensor(name) == tree or name.startswith(OVERWRITTEN) or cost > scope.at_most:
            continue
        for new in (tensor(name), transposed(tensor(name))):
            yield Edit(
                statement=statement,
                tree=new,
                kind="wrong-tensor",
                what=f"it is {written(new)}",
                look="look at what is assigned",
                cost=cost,
            )
    zero = Node("mul", (Node("number", number=0.0), tree))
    yield Edit(
        statement=statement,
        tree=zero,
        kind="zero",
        what="it is zero",
        look="look whether it is computed at all",
        cost=1.0,
    )


def recomputed(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Read a tensor that is computed once more, and wrongly: softmax over the other axis."""
    read = reads(tree)
    for wrong in scope.anew:
        if wrong.statement in read:
            yield Edit(
                statement=statement,
                tree=renamed(tree, {wrong.statement: wrong.tree}),
                kind=wrong.kind,
                what=f"{wrong.statement} is computed anew, and wrongly: {wrong.what}",
                look=f"look at how {wrong.statement} is computed there",
                cost=wrong.cost + 0.8,
            )
