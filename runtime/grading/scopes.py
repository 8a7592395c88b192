"""What a statement of a student's file could read or be in error, from other derivations."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from runtime.grading.edit import Edit, Factor, Scope
from runtime.grading.edits_of_functions import called_otherwise
from runtime.grading.edits_of_shapes import rows_otherwise
from runtime.grading.edits_of_terms import dropped
from runtime.grading.reference import Reference, loss_formula, reference
from runtime.grading.tree import Evaluation, Node, product, reads, renamed, tensor, written

# other activations, and losses: one network has both, since deriving each takes its time
_OTHERS = {"sigmoid": "mse", "relu": "binary-cross-entropy"}
_OTHER_ACTIVATIONS = tuple(_OTHERS)
Whole = tuple[str, str, Node, float, bool]
Scopes = Callable[[str, Evaluation], Scope]


def backward_scopes(right: Reference, activation: str, *, wide: bool) -> Scopes:
    """Return the scope of each statement of a gradient programme.

    Parameters
    ----------
    right
        The network's formulas.
    activation
        Of its hidden layers.
    wide
        Whether derivatives of other activations and losses count as well.
    """
    cotangents = set(right.backward)
    anew = tuple(_anew(right)) if wide else ()
    before = {
        name: (above, activation)
        for name, tree in right.backward.items()
        if own_slope(tree, cotangents) is not None
        for above in sorted(reads(tree) & cotangents)
    }

    def scope(statement: str, known: Evaluation) -> Scope:
        shapes = {
            name: (value.shape[0], value.shape[1])
            for name, value in known.values.items()
            if name != statement and name not in ("w",)
        }
        own = own_slope(right.backward[statement], cotangents)
        slopes = [f for f in _slopes(right, activation, wide=wide) if f.at in shapes]
        return Scope(
            shapes=shapes,
            slopes=slopes,
            own_slope=own,
            activation=activation,
            whole=tuple(_whole(statement, wide=wide)),
            before=before,
            results=tuple(right.gradients.values()),
            anew=anew,
        )

    return scope


def _anew(right: Reference) -> Iterator[Edit]:
    """Return wrong formulas of what activations give."""
    empty = Scope(shapes={})
    for name, tree in right.forward.items():
        if name.startswith(("htilde", "ytilde", "loss")):
            continue
        for operator in (dropped, rows_otherwise, called_otherwise):
            yield from operator(name, tree, empty)


def own_slope(tree: Node, cotangents: set[str]) -> Node | None:
    """Return the factor of a product that is the activation's derivative: it reads no gradient."""
    if tree.op != "mul" or not reads(tree) & cotangents:
        return None
    local = [factor for factor in tree.args if not reads(factor) & cotangents]
    return product(*local) if local else None


def _slopes(right: Reference, activation: str, *, wide: bool) -> Iterator[Factor]:
    """Return derivatives of activations, taken where the right one is, and elsewhere."""
    units = [name for name in right.forward if name != "loss"]
    for name in (activation, *(_OTHER_ACTIVATIONS if wide else ())):
        formula = _slope_formula(name)
        if formula is None:
            continue
        for after in units:
            before = _argument_of(after)
            names = {"h": tensor(after), "htilde": tensor(before)}
            yield Factor(activation=name, at=after, tree=renamed(formula, names))
        if wide and "h" in reads(formula):
            for at in units:  # the derivative as a function of what goes in, given what came out
                called = _of_argument(name)
                if called is not None and at.startswith(("htilde", "ytilde")):
                    names = {"h": called(tensor(at)), "htilde": tensor(at)}
                    if not reads(formula) & {"htilde"}:
                        yield Factor(activation=name, at=at, tree=renamed(formula, names))


def _of_argument(activation: str) -> Callable[[Node], Node] | None:
    if activation in ("sigmoid", "tanh"):
        return lambda node: Node("fn", (node,), name=activation)
    return None


def _argument_of(after: str) -> str:
    """Return the tensor to which the activation was applied: ``h1`` is of ``htilde1``."""
    if after.startswith(("htilde", "ytilde")):
        return after
    if after == "yhat":
        return "ytilde"
    return f"htilde{after[1:]}"


@lru_cache(maxsize=16)
def _slope_formula(activation: str) -> Node | None:
    """Return an activation's derivative in ``h`` and ``htilde``, as `derive` has it."""
    network = _other(activation) if activation in _OTHERS else reference(2, hidden=activation)
    tree = network.backward["dhtilde"]
    slope = own_slope(tree, set(network.backward))
    # a statement that is linear in what comes from above, entry by entry, is its slope at 1
    return slope or renamed(tree, {"dh": Node("number", number=1.0)})


def _other(activation: str) -> Reference:
    """Return the network of an activation and a loss that are not the lab's."""
    return reference(2, hidden=activation, output="softmax", loss=_OTHERS[activation])


def _whole(statement: str, *, wide: bool) -> Iterator[Whole]:
    if statement != "dytilde":
        return
    lab = reference(2)
    yield (
        "wrong-variable",
        "it is the derivative of the loss in yhat, and not yet in ytilde: the derivative of "
        "softmax is missing",
        lab.raw["dyhat"],
        2.5,
        False,
    )
    empty = Scope(shapes={})
    for tree in lab.unfolded.get(statement, ()):
        for edit in (*dropped(statement, tree, empty), *rows_otherwise(statement, tree, empty)):
            yield (
                "softmax-derivative",
                f"the derivative of softmax gives {written(tree)}, but {edit.what}",
                renamed(edit.tree, lab.raw),
                2.2,
                False,
            )
    if not wide:
        return
    squares = _other("sigmoid")
    yield (
        "wrong-loss",
        "it is the gradient of the mean squared error, not of the cross-entropy",
        squares.backward["dytilde"],
        3.0,
        False,
    )
    yield (
        "wrong-loss",
        "it is the derivative in yhat of the mean squared error, not of the cross-entropy",
        squares.backward.get("dyhat", squares.raw.get("dyhat", lab.raw["dyhat"])),
        3.4,
        False,
    )
    binary = _other("relu")
    yield (
        "wrong-loss",
        "it is the derivative in yhat of the binary cross-entropy",
        binary.backward.get("dyhat", binary.raw.get("dyhat", lab.raw["dyhat"])),
        3.4,
        False,
    )
    yield (
        "wrong-loss",
        "it is the gradient of the binary cross-entropy, not of the cross-entropy over classes",
        binary.backward["dytilde"],
        3.2,
        False,
    )


def forward_scopes(right: Reference) -> Scopes:
    """Return the scope of each statement of a forward pass."""
    order = list(right.forward)

    def scope(statement: str, known: Evaluation) -> Scope:
        later = set(order[order.index(statement) :])
        shapes = {
            name: (value.shape[0], value.shape[1])
            for name, value in known.values.items()
            if name not in later and name not in ("w", "Y", "loss")
        }
        whole: list[Whole] = []
        if statement == "yhat":
            for name in ("sigmoid", "tanh", "relu"):
                tree = Node("fn", (tensor("ytilde"),), name=name)
                whole.append(
                    ("wrong-function", f"{name} stands where softmax belongs", tree, 1.5, False)
                )
        return Scope(shapes=shapes, whole=tuple(whole))

    return scope


def loss_scopes(right: Reference) -> Scopes:
    """Return the scope of the loss."""

    def scope(statement: str, known: Evaluation) -> Scope:
        shapes = {
            name: (value.shape[0], value.shape[1])
            for name, value in known.values.items()
            if name in ("yhat", "Y")
        }
        whole = [
            (
                "wrong-loss",
                f"it is the {told}, not the cross-entropy",
                loss_formula(name),
                2.0,
                False,
            )
            for name, told in (
                ("mse", "mean squared error"),
                ("mae", "mean absolute error"),
                ("binary-cross-entropy", "binary cross-entropy"),
            )
        ]
        # the labels hold zeros, whose logarithm only some small number keeps finite
        yhat, Y = tensor("yhat"), tensor("Y")
        swapped = renamed(right.forward[statement], {"yhat": Y, "Y": yhat})
        told = "yhat and Y are exchanged: the logarithm is that of Y"
        whole.append(("wrong-operand", told, _guarded(swapped), 1.0, True))
        return Scope(shapes=shapes, whole=tuple(whole))

    return scope


def _guarded(tree: Node) -> Node:
    """Return a tree whose logarithms are finite at 0."""
    args = tuple(_guarded(argument) for argument in tree.args)
    return replace(tree, args=args, name="guarded log" if tree.name == "log" else tree.name)


def step_scopes(statement: str, known: Evaluation) -> Scope:
    """Return the scope of an update: every parameter, gradient, and the step size."""
    shapes = {
        name: (value.shape[0], value.shape[1])
        for name, value in known.values.items()
        if not name.startswith("new ")
    }
    del statement
    return Scope(shapes=shapes)
