"""Formulas as trees that can be changed, evaluated on NumPy arrays, and written down.

Grammar::

    Node = name | size | number | ones(size)       leaves; the last two axes count
         | T(x) | neg(x) | matmul(x…) | mul(x…) | div(x, y) | plus(x…)
         | pow(x) number | fn(x) name | where(a, b, then, otherwise) relation
         | total(x) | largest(x) | pick(x) number  and other things that only mistakes contain

The right formulas come from `derive.matrix_form` and only from there (`from_matrix`); what
else is in the grammar is what a mistake can put in their place. Elementwise operations
broadcast as NumPy does, since that is what a student's line would do.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from derive import matrix_expression as matrix
from runtime.errors import InternalError

Array = NDArray[Any]
Path = tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A formula.

    Attributes
    ----------
    op
        One of the grammar above.
    args
        The operands.
    name
        Of a tensor, size, function or relation.
    number
        A constant, an exponent, or which sample is picked.
    """

    op: str
    args: tuple["Node", ...] = ()
    name: str = ""
    number: float = 0.0
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # once: a search asks for it a hundred times
        object.__setattr__(self, "_hash", hash((self.op, self.args, self.name, self.number)))

    def __hash__(self) -> int:
        """Return a hash of the whole tree."""
        return self._hash


@lru_cache(maxsize=4096)
def tensor(name: str) -> Node:
    """Return a leaf that reads a tensor."""
    return Node("name", name=name)


def transposed(node: Node) -> Node:
    """Return the transpose, a double one gone."""
    return node.args[0] if node.op == "T" else Node("T", (node,))


def product(*factors: Node) -> Node:
    """Return an elementwise product of one factor or more, flat."""
    flat = [part for f in factors for part in (f.args if f.op == "mul" else (f,))]
    return flat[0] if len(flat) == 1 else Node("mul", tuple(flat))


def from_matrix(expression: matrix.Matrix) -> Node:
    """Return a matrix expression of `derive` as a tree."""
    match expression:
        case matrix.Name(name):
            return tensor(name)
        case matrix.Size(name):
            return Node("size", name=name)
        case matrix.Number(value):
            return _number(float(value))
        case matrix.Ones(extent):
            return Node("ones", name=str(extent))
        case matrix.Transpose(operand):
            return transposed(from_matrix(operand))
        case matrix.MatMul(factors):
            return Node("matmul", tuple(map(from_matrix, factors)))
        case matrix.Hadamard(factors):
            return product(*map(from_matrix, factors))
        case matrix.Quotient(numerator, denominator):
            return Node("div", (from_matrix(numerator), from_matrix(denominator)))
        case matrix.Power(base, exponent):
            return Node("pow", (from_matrix(base),), number=float(exponent))
        case matrix.Apply(function, operands):
            return Node("fn", tuple(map(from_matrix, operands)), name=function)
        case matrix.Where(relation, left, right, then, otherwise):
            sides = (left, right, then, otherwise)
            return Node("where", tuple(map(from_matrix, sides)), name=relation)
        case matrix.Plus(terms):
            return Node("plus", tuple(map(from_matrix, terms)))
        case matrix.Scaled(number, scalars, divisors, operand):
            return _scaled(float(number), scalars, divisors, operand)
        case _:
            raise InternalError(f"{expression} has no tree")


def _number(value: float) -> Node:
    number = Node("number", number=abs(value))
    return Node("neg", (number,)) if value < 0 else number


def _scaled(
    number: float,
    scalars: tuple[matrix.Matrix, ...],
    divisors: tuple[matrix.Matrix, ...],
    operand: matrix.Matrix | None,
) -> Node:
    factors = [from_matrix(scalar) for scalar in scalars]
    factors += [from_matrix(operand)] if operand is not None else []
    if abs(number) != 1 or not factors:
        factors.insert(0, Node("number", number=abs(number)))
    node = factors[0] if len(factors) == 1 else Node("mul", tuple(factors))
    for divisor in divisors:
        node = Node("div", (node, from_matrix(divisor)))
    return Node("neg", (node,)) if number < 0 else node


def nodes(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Return every node with the way to it, from the root on."""
    yield path, node
    for place, argument in enumerate(node.args):
        yield from nodes(argument, (*path, place))


def changed(node: Node, path: Path, new: Node) -> Node:
    """Return a tree with another node at a place."""
    if not path:
        return new
    place, *rest = path
    inner = changed(node.args[place], tuple(rest), new)
    args = (*node.args[:place], inner, *node.args[place + 1 :])
    return Node(node.op, args, node.name, node.number)  # `replace` takes five times as long


def renamed(node: Node, names: Mapping[str, Node]) -> Node:
    """Return a tree with other nodes in the place of tensors, wherever they are read."""
    if node.op == "name":
        return names.get(node.name, node)
    args = tuple(renamed(argument, names) for argument in node.args)
    return node if args == node.args else Node(node.op, args, node.name, node.number)


def reads(node: Node) -> set[str]:
    """Return the names of the tensors that a tree reads."""
    return {inner.name for _, inner in nodes(node) if inner.op == "name"}


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "max": np.maximum,
    "min": np.minimum,
    "guarded log": lambda x: np.log(x + 1e-8),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "choice rows": lambda x: (x == x.max(axis=-1, keepdims=True)).astype(float),
    "softmax rows": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
}
_RELATIONS: dict[str, Callable[[Array, Array], Array]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "≥": np.greater_equal,
    "≤": np.less_equal,
    "=": np.equal,
    "≠": np.not_equal,
}


class Evaluation:
    """Values of tensors and sizes at one trial, and of trees over them.

    Attributes
    ----------
    values
        Arrays by name. Two axes count, the last; those before them are values of as many
        programmes at once, which every operation carries along.
    sizes
        Integers by name, B among them.
    """

    def __init__(self, values: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        self.values = dict(values)
        self.sizes = dict(sizes)
        if "B" in sizes:
            self.sizes["(B − 1)"] = sizes["B"] - 1
        self._known: dict[Node, Array] = {}

    def over(self, values: Mapping[str, Array]) -> "Evaluation":
        """Return an evaluation in which some tensors have other values."""
        return Evaluation({**self.values, **values}, self.sizes)

    def __call__(self, node: Node) -> Array:
        """Return the value of a tree.

        Raises
        ------
        ValueError
            If shapes do not go together, as NumPy says.
        """
        if node.op == "name":
            return self.values[node.name]
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self._value(node)
        return found

    def _value(self, node: Node) -> Array:
        match node.op:
            case "size":
                return np.array([[float(self.sizes[node.name])]])
            case "number":
                return np.array([[node.number]])
            case "ones":
                return np.ones((self._extent(node.name), 1))
            case _:
                return self._operation(node, [self(argument) for argument in node.args])

    def _extent(self, name: str) -> int:
        return self.sizes[name] if name in self.sizes else int(name)

    def _operation(self, node: Node, values: list[Array]) -> Array:
        return np.asarray(self._applied(node, values))

    def _applied(self, node: Node, values: list[Any]) -> Any:
        first = values[0]
        match node.op:
            case "T":
                return first.swapaxes(-1, -2)
            case "neg":
                return -first
            case "matmul":
                for other in values[1:]:
                    first = first @ other
                return first
            case "mul":
                for other in values[1:]:
                    first = first * other
                return first
            case "plus":
                for other in values[1:]:
                    first = first + other
                return first
            case "div":
                return first / values[1]
            case "pow":
                return first**node.number
            case "fn":
                return np.asarray(_FUNCTIONS[node.name](*values))
            case "where":
                test = _RELATIONS[node.name](values[0], values[1])
                return np.where(test, values[2], values[3])
            case "total":
                return first.sum(axis=(-2, -1), keepdims=True)
            case "across":
                return first.sum(axis=-1, keepdims=True)
            case "down":
                return first.sum(axis=-2, keepdims=True)
            case "largest":
                return first.max(axis=-2, keepdims=True)
            case "largestrow":
                return first.max(axis=-1, keepdims=True).swapaxes(-1, -2)
            case "pick":
                return first[..., [int(node.number)], :]
            case "skip":
                rest = first.copy()
                rest[..., int(node.number), :] = 0
                return rest
            case "diagonal":
                return first.diagonal(axis1=-2, axis2=-1)[..., None]
            case _:
                raise InternalError(f"{node.op} has no value")


_TIGHT = {"name", "size", "number", "T", "ones", "fn", "total", "pick", "largest", "where"}


@lru_cache(maxsize=4096)  # a search writes the same parts a hundred times
def written(node: Node) -> str:
    """Return a formula on one line: ``dhtildeᵀ X``, ``dh ∘ (1 − h ∘ h)``."""
    args = node.args
    match node.op:
        case "name" | "size":
            return node.name
        case "number":
            return f"{node.number:g}"
        case "ones":
            return "1"
        case "T":
            return f"{_tight(args[0])}ᵀ"
        case "neg":
            return f"−{_tight(args[0])}"
        case "matmul":
            if summed := _summed(node):
                return f"{summed[0]}({written(summed[1])})"
            return " ".join(_tight(a) for a in args)
        case "mul":
            return " ∘ ".join(_factor(a) for a in args)
        case "plus":
            text = written(args[0])
            for a in args[1:]:
                text += f" − {_factor(a.args[0])}" if a.op == "neg" else f" + {_factor(a)}"
            return text
        case "div":
            return f"{_factor(args[0])}/{_tight(args[1])}"
        case "pow":
            return f"{_tight(args[0])}^{node.number:g}"
        case "where":
            sides = [written(a) for a in args]
            return f"where({sides[0]} {node.name} {sides[1]}, {sides[2]}, {sides[3]})"
        case "total":
            return f"sum({written(args[0])})"
        case "largest":
            return f"max({written(args[0])})"
        case "pick":
            return f"{_tight(args[0])}[{node.number:g}]"
        case _:
            head = node.name.removesuffix(" rows") or node.op
            return f"{head}({', '.join(written(a) for a in args)})"


def _summed(node: Node) -> tuple[str, Node] | None:
    """Return what is summed by a product with ones, and how: ``A 1 1ᵀ``, ``1ᵀ A 1``."""
    match node.args:
        case (Node(op=op) as inner, Node(op="ones"), Node(op="T", args=(Node(op="ones"),))):
            return ("rowsum", inner) if op != "ones" else None
        case (Node(op="T", args=(Node(op="ones"),)), inner, Node(op="ones")):
            return "sum", inner
        case _:
            return None


def _tight(node: Node) -> str:
    tight = node.op in _TIGHT or (node.op == "matmul" and _summed(node) is not None)
    return written(node) if tight else f"({written(node)})"


def _factor(node: Node) -> str:
    loose = node.op in ("plus", "neg", "mul")
    return f"({written(node)})" if loose else written(node)
