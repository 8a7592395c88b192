"""Edit operators: what a line of a student's could have become instead of the right formula.

Each operator takes a formula as a tree and yields changed trees, one change at a time. None
knows a layer, and only `Scope` knows what else a file has at hand: the tensors of the forward
pass, the parameters, gradients that stand before, the derivatives of other activations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from runtime.grading.tree import (
    Node,
    Path,
    changed,
    nodes,
    product,
    reads,
    renamed,
    tensor,
    transposed,
    written,
)

Shape = tuple[int, int]

OVERWRITTEN = "overwritten "  # before the name of a tensor: what the file has made of it in place


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one statement.

    Attributes
    ----------
    statement
        The name of what the statement defines.
    tree
        The changed formula.
    kind
        A word for what was changed, from `KINDS`.
    what
        A clause for the student: ``the factor 1 − h ∘ h is missing``.
    look
        Where to look, without saying what is wrong there.
    cost
        How far-fetched it is; the simplest explanation is told.
    free
        Whether it says nothing of the size of the result.
    """

    statement: str
    tree: Node
    kind: str
    what: str
    look: str
    cost: float
    free: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """The slope of an activation at some tensor.

    Attributes
    ----------
    activation
        Its name.
    at
        The tensor at which it is taken.
    tree
        Its formula.
    """

    activation: str
    at: str
    tree: Node


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a statement of a file could read in error.

    Attributes
    ----------
    shapes
        Every tensor that is there when the statement is computed, with its shape.
    slopes
        Derivatives of activations.
    own_slope
        The factor of this statement that is its activation's derivative, if it has one.
    activation
        The name of that activation.
    whole
        Other right-hand sides for the whole statement: kind, clause, tree, cost, and whether
        they say nothing of the size of the result.
    results
        Names of those tensors that are results as the statement is.
    """

    shapes: Mapping[str, Shape]
    slopes: Sequence[Factor] = ()
    own_slope: Node | None = None
    activation: str = ""
    whole: Sequence[tuple[str, str, Node, float, bool]] = ()
    results: Sequence[str] = ()


def edits(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Return every single change of a statement, the simple ones among them first."""
    for operator in OPERATORS:
        yield from operator(statement, tree, scope)


def dropped(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """``a ∘ b → a``, ``a − b → a``, ``A 1 → A``, ``−x → x``, ``f(x) → x``, ``x/y → x``."""
    for path, node in nodes(tree):
        if node.op in ("mul", "plus", "matmul") and len(node.args) > 1:
            for place, lost in enumerate(node.args):
                rest = (*node.args[:place], *node.args[place + 1 :])
                new = rest[0] if len(rest) == 1 else Node(node.op, rest)
                yield _drop(statement, changed(tree, path, new), node, lost, scope)
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
            yield Edit(
                statement=statement,
                tree=changed(tree, path, node.args[0]),
                kind="function-missing",
                what=f"{node.name} is missing",
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
            what = f"the bias {written(inner)} is missing"
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


def turned(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """``A → Aᵀ``, ``A B → B A``, the whole transposed."""
    del scope

    def made(path: Path, new: Node, what: str, kind: str = "transpose", cost: float = 2.0) -> Edit:
        return Edit(
            statement=statement,
            tree=changed(tree, path, new),
            kind=kind,
            what=what,
            look="look at the shapes: what is transposed, and in which order",
            cost=cost,
        )

    if not any(node.op == "ones" for node in tree.args):
        yield made((), transposed(tree), f"the result is the transpose of {written(tree)}")
    for path, node in nodes(tree):
        if node.op != "matmul":
            continue
        for place, factor in enumerate(node.args):
            if factor.op == "ones":
                continue
            other = transposed(factor)
            what = f"{written(other)} stands where {written(factor)} belongs"
            yield made((*path, place), other, what)
        if len(node.args) == 2 and not any(a.op == "ones" for a in node.args):
            left, right = node.args
            swapped = Node("matmul", (right, left))
            what = f"the product is {written(swapped)} and not {written(node)}"
            yield made(path, swapped, what, "operand-order")
            crossed = Node("matmul", (transposed(left), transposed(right)))
            what = f"the product is {written(crossed)} and not {written(node)}"
            yield made(path, crossed, what, cost=2.5)
            crossed = Node("matmul", (transposed(right), transposed(left)))
            if path:
                what = f"the product is {written(crossed)} and not {written(node)}"
                yield made(path, crossed, what, cost=2.5)


def multiplied_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """``A B → A ∘ B`` and ``A ∘ B → A B``."""
    del scope
    for path, node in nodes(tree):
        if node.op == "matmul" and len(node.args) == 2:
            left, right = node.args
            for a, b in ((left, right), (transposed(left), right), (left, transposed(right))):
                if a.op == "ones" or b.op == "ones":
                    continue
                new = Node("mul", (a, b))
                yield Edit(
                    statement=statement,
                    tree=changed(tree, path, new),
                    kind="elementwise-product",
                    what=f"{written(new)}, entry by entry, stands where the matrix product "
                    f"{written(node)} belongs",
                    look="look at which kind of product is meant",
                    cost=2.0 if (a, b) == (left, right) else 2.5,
                )
        elif node.op == "mul" and len(node.args) == 2 and node.args[0] != node.args[1]:
            left, right = node.args
            for a, b in ((left, right), (left, transposed(right)), (transposed(left), right)):
                new = Node("matmul", (a, b))
                yield Edit(
                    statement=statement,
                    tree=changed(tree, path, new),
                    kind="matrix-product",
                    what=f"the matrix product {written(new)} stands where the product entry by "
                    f"entry, {written(node)}, belongs",
                    look="look at which kind of product is meant",
                    cost=2.0 if (a, b) == (left, right) else 2.5,
                )


def exchanged(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """A tensor read in the place of another, at one place or wherever it stands."""
    present = {name for name in reads(tree) if name in scope.shapes}
    for old in sorted(present):
        inside = scope.own_slope is not None and old in reads(scope.own_slope)
        places = [path for path, node in nodes(tree) if node == tensor(old)]
        for new in scope.shapes:
            if new == old:
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
                yield _elsewhere(statement, renamed(tree, {old: called}), scope, old, written(called))
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


def summed_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """A sum over the batch: over the other axis, over all, its largest, one sample of it."""
    for path, node in nodes(tree):
        if node.op != "matmul" or len(node.args) != 2:
            continue
        left, right = node.args
        if right.op == "ones":
            yield from _sums(statement, tree, path, transposed(left), right, scope)
        elif left.op == "T" and left.args[0].op != "ones":
            yield from _contractions(statement, tree, path, left.args[0], right)


def _sums(
    statement: str, tree: Node, path: Path, summed: Node, ones: Node, scope: Scope
) -> Iterator[Edit]:
    del scope
    over = "the batch" if ones.name == "B" else "a row"
    text = written(summed)
    for new, kind, what, cost in (
        (summed, "reduction-missing", f"the sum over {over} is missing", 1.5),
        (
            Node("across", (summed,)),
            "wrong-axis",
            f"{text} is summed over the wrong axis, not over {over}",
            1.5,
        ),
        (Node("total", (summed,)), "wrong-axis", f"all entries of {text} are summed", 1.5),
        (
            Node("T", (Node("largest", (summed,)),)),
            "reduction-replaced",
            f"the largest entry over {over} is taken, and not the sum",
            2.5,
        ),
        *(
            (
                Node("T", (Node("pick", (summed,), number=which),)),
                "reduction-replaced",
                f"only the {name} sample of {text} is taken, and not the sum over {over}",
                2.0,
            )
            for which, name in ((-1, "last"), (0, "first"))
        ),
    ):
        yield Edit(
            statement=statement,
            tree=changed(tree, path, new),
            kind=kind,
            what=what,
            look="look at what is summed, and over which axis",
            cost=cost,
        )


def _contractions(
    statement: str, tree: Node, path: Path, left: Node, right: Node
) -> Iterator[Edit]:
    for which, name in ((-1, "last"), (0, "first")):
        a, b = (Node("pick", (side,), number=which) for side in (left, right))
        yield Edit(
            statement=statement,
            tree=changed(tree, path, Node("matmul", (Node("T", (a,)), b))),
            kind="reduction-replaced",
            what=f"only the {name} sample is taken, and not the sum over the batch",
            look="look at how the samples are summed",
            cost=2.0,
        )
    sums = [Node("matmul", (Node("T", (Node("ones", name="B"),)), side)) for side in (left, right)]
    yield Edit(
        statement=statement,
        tree=changed(tree, path, Node("matmul", (transposed(sums[0]), sums[1]))),
        kind="reduction-replaced",
        what=f"{written(left)} and {written(right)} are summed over the batch before they are "
        "multiplied",
        look="look at how the samples are summed",
        cost=3.0,
    )


def sloped_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """The derivative of another activation, or one where none belongs."""
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
                    kind="activation-derivative-elsewhere" if own else "wrong-activation-derivative",
                    what=what,
                    look=f"look at the factor that comes from {scope.activation}",
                    cost=2.0,
                )
    for path, node in [((), tree), *nodes(tree)]:
        if path and (node.op != "name" or node.name not in scope.shapes):
            continue
        for factor in scope.slopes:
            text = written(factor.tree)
            again = factor.tree == scope.own_slope
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
                cost=(2.0 if again else 2.2) if not path else 2.8,
            )


def multiplied_more(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """A factor too many, entry by entry: a tensor, or a size at an inner place."""
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


def grouped_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Brackets that are missing: ``(a − b)/c → a − b/c``, ``a(b − c) → ab − c``, ``1 − h² → (1 − h)²``."""
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


def called_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Another function, one too many, or a normalisation over the other axis."""
    del scope
    for path, node in nodes(tree):
        if node.op == "fn" and len(node.args) == 1:
            for name in ("tanh", "exp", "log", "sin", "abs", "sigmoid", "relu"):
                if name == node.name:
                    continue
                new = Node("fn", node.args, name=name)
                yield Edit(
                    statement=statement,
                    tree=changed(tree, path, new),
                    kind="wrong-function",
                    what=f"{name} stands where {node.name} belongs",
                    look=f"look at where {node.name} belongs",
                    cost=2.0,
                )
            twice = Node("fn", (node,), name=node.name)
            yield Edit(
                statement=statement,
                tree=changed(tree, path, twice),
                kind="extra-function",
                what=f"{node.name} is applied twice",
                look=f"look at where {node.name} belongs",
                cost=2.5,
            )
    if tree.op in ("name", "plus", "matmul"):
        for name in ("tanh", "sigmoid", "relu", "softmax rows"):
            yield Edit(
                statement=statement,
                tree=Node("fn", (tree,), name=name),
                kind="extra-function",
                what=f"{name.removesuffix(' rows')} is applied where none belongs",
                look="look at the functions that are applied",
                cost=2.5,
            )


def rows_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """``A 1 1ᵀ``, sums of rows: over the other axis, over all, or of one entry."""
    del scope
    for path, node in nodes(tree):
        if node.op == "matmul" and sum(a.op in ("ones", "T") for a in node.args) >= 2:
            yield from _axes(statement, tree, path, node)


def _axes(statement: str, tree: Node, path: Path, node: Node) -> Iterator[Edit]:
    """``A 1 1ᵀ``, the sum of each row, becomes that of each column, or of all."""
    inner = node.args[0]
    if len(node.args) != 3 or node.args[1].op != "ones":
        return
    for new, what in (
        (inner, f"only the entry of {written(inner)} itself is taken, not the sum of its row"),
        (Node("down", (inner,)), f"{written(inner)} is summed over the batch, not over each row"),
        (Node("total", (inner,)), f"all of {written(inner)} is summed, not each row"),
        (Node("T", (Node("largestrow", (inner,)),)), "the largest is taken, not the sum"),
    ):
        yield Edit(
            statement=statement,
            tree=changed(tree, path, new),
            kind="wrong-axis",
            what=what,
            look="look at what is summed, and over which axis",
            cost=1.5,
        )


def replaced_whole(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Another tensor, zeros, or another derivation in the place of the whole statement."""
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
        if tensor(name) == tree or name.startswith(OVERWRITTEN):
            continue
        for new in (tensor(name), transposed(tensor(name))):
            yield Edit(
                statement=statement,
                tree=new,
                kind="wrong-tensor",
                what=f"it is {written(new)}",
                look="look at what is assigned",
                cost=2.2 if name in scope.results else 3.2,
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


Operator = Callable[[str, Node, Scope], Iterator[Edit]]
OPERATORS: tuple[Operator, ...] = (
    dropped,
    turned,
    summed_otherwise,
    grouped_otherwise,
    sloped_otherwise,
    multiplied_otherwise,
    exchanged,
    called_otherwise,
    rows_otherwise,
    replaced_whole,
    multiplied_more,
)
