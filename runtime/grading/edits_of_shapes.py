"""Edits of transposes, products and sums."""

from collections.abc import Iterator

from runtime.grading.edit import Edit, Scope
from runtime.grading.tree import (
    Node,
    Path,
    changed,
    nodes,
    transposed,
    written,
)


def turned(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Turn something: ``A → Aᵀ``, ``A B → B A``, the whole transposed."""
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
        yield made(
            (), transposed(tree), f"it is the transpose of what it should be, {written(tree)}"
        )
    for path, node in nodes(tree):
        if node.op != "matmul":
            continue
        for place, factor in enumerate(node.args):
            if factor.op == "ones":
                continue
            other = transposed(factor)
            what = f"{written(other)} stands where {written(factor)} belongs"
            yield made((*path, place), other, what)
        if len(node.args) == 2 and node.args[0].op == "ones" and node.args[1].op == "T":
            row = node.args[1]  # a bias beside every sample
            what = f"{written(row.args[0])}, a column, stands where {written(row)} belongs"
            yield made(path, row.args[0], what)
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
    """Multiply otherwise: ``A B → A ∘ B`` and ``A ∘ B → A B``."""
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


def summed_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Sum otherwise than over the batch: over the other axis, over all, one sample of it."""
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
        *(
            (
                Node("matmul", (transposed(Node("skip", (summed,), number=which)), ones)),
                "sample-missing",
                f"the {name} sample of the batch is left out of the sum",
                2.0,
            )
            for which, name in ((0, "first"), (-1, "last"))
            if ones.name == "B"
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
    for which, name in ((0, "first"), (-1, "last")):
        skipped = Node("skip", (left,), number=which)
        yield Edit(
            statement=statement,
            tree=changed(tree, path, Node("matmul", (transposed(skipped), right))),
            kind="sample-missing",
            what=f"the {name} sample of the batch is left out of the sum",
            look="look at the loop over the samples: where does it begin and end?",
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


def rows_otherwise(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Sum rows otherwise, ``A 1 1ᵀ``: over the other axis, over all, or of one entry."""
    del scope
    for path, node in nodes(tree):
        if node.op == "matmul" and sum(a.op in ("ones", "T") for a in node.args) >= 2:
            yield from _axes(statement, tree, path, node)


def _axes(statement: str, tree: Node, path: Path, node: Node) -> Iterator[Edit]:
    """Make of ``A 1 1ᵀ``, the sum of each row, that of each column, or of all."""
    inner = node.args[0]
    if len(node.args) != 3 or node.args[1].op != "ones":
        return
    for new, what in (
        (inner, f"only the entry of {written(inner)} itself is taken, not the sum of its row"),
        (
            Node("div", (node, Node("size", name=node.args[1].name))),
            f"the mean of each row of {written(inner)} is taken, not its sum",
        ),
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
    # what has lost its axis lies along the last one, as NumPy broadcasts
    yield Edit(
        statement=statement,
        tree=changed(tree, path, transposed(Node("across", (inner,)))),
        kind="axis-lost",
        what=f"the sums of the rows of {written(inner)} have lost an axis, so that they meet "
        "the columns, not the rows: keepdims is missing",
        look="look at the shape of the sum: which axis is left?",
        cost=1.5,
    )


def samples_skipped(statement: str, tree: Node, scope: Scope) -> Iterator[Edit]:
    """Leave out a sample, as a loop that begins or ends one off does."""
    del scope
    if any(
        node.op == "ones" or (node.op == "T" and path[-1:] == (0,)) for path, node in nodes(tree)
    ):
        return  # a sum over the batch: what it sums has the samples
    for which, name in ((0, "first"), (-1, "last")):
        yield Edit(
            statement=statement,
            tree=Node("skip", (tree,), number=which),
            kind="sample-missing",
            what=f"the {name} sample of the batch is left out",
            look="look at the loop over the samples: where does it begin and end?",
            cost=2.0,
        )
