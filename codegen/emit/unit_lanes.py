"""Kernels whose vectors hold units of one sample: for networks whose layers fill whole vectors.

With a sample in each lane (`codegen.emit.lanes`) a batch of 10 leaves 6 lanes of 16 empty, and
each entry of a gradient is a vector that must be summed up. Where every hidden layer has a
multiple of LANES units, these are in the lanes instead: a tensor of a hidden layer holds a row of
vectors for each sample. Then each product is numbers of one factor times vectors of the other,
with sums in registers, over the samples that are there::

    Z[i, :] = b + Σ_k X[i, k] W[:, k]       vectors of a column of the weights
    dH[i, :] = Σ_j dZ[i, j] W[j, :]         of a row
    dW[j, :] = Σ_i dZ[i, j] H[i, :]         gradients come in rows,
    dW[:, k] = Σ_i dZ[i, :] X[i, k]         or in columns, as the first layer's, which lies so

What has any other number of units, as the last layer, keeps samples in lanes; where a product
needs vectors of the other kind, the matrix is written across, which takes LANES vectors four
shuffles each. In float32, a step of 4-32-16-4 with 10 samples takes 0.38 µs where one with
samples in lanes took 1.06, with 100 samples 3.7 and 7.2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, chain
from math import prod

from codegen.emit.block_layout import LANES, Layout, extents_of
from codegen.emit.lanes import INDENT, BlockKernel
from codegen.errors import InternalError
from codegen.kernel import (
    BATCH,
    Const,
    Contract,
    Elementwise,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Update,
    Value,
    loads,
    reads,
    writes,
)


def tensors_of_units(program: KernelProgram) -> frozenset[str]:
    """Return the tensors of a programme whose units fill vectors and can be in their lanes.

    A node that computes entry by entry has all of its tensors one way. What is summed over its
    units, as by softmax, is in the way of this.
    """
    found = {
        buffer.name
        for buffer in program.buffers
        if buffer.role == "work"
        and buffer.name not in program.outputs
        and len(buffer.shape) == 2
        and buffer.shape[1] == BATCH
        and int(buffer.shape[0]) % LANES == 0
    }
    while True:
        refused = set(chain.from_iterable(_refused(program, node, found) for node in program.nodes))
        if not refused & found:
            return frozenset(found)
        found -= refused


def _refused(program: KernelProgram, node: Node, found: set[str]) -> set[str]:
    """Return what a node does not let be among the tensors found."""
    match node:
        case Elementwise():
            read = {load.buffer for store in node.stores for load in loads(store.value)}
            used = read | {store.buffer for store in node.stores}
            return set() if used <= found else used
        case Reduce():
            is_plain = isinstance(node.value, Load) and node.alpha == Const(1.0)
            if is_plain and extents_of(program, node)[node.axis] == BATCH:
                return set()
            return {load.buffer for load in loads(node.value)}
        case Contract():
            factors = [program.buffer(load.buffer).role for load in (node.left, node.right)]
            starts = node.start is None or program.buffer(node.start.buffer).role == "parameter"
            is_plain = node.alpha == Const(1.0) and starts and factors.count("parameter") == 1
            return set() if is_plain or node.out not in found else {node.out}
        case Update():
            return set()


def parameters_by_columns(
    programs: Mapping[str, KernelProgram],
    parameters: Mapping[str, tuple[int, ...]],
    gradients: Mapping[str, str],
) -> frozenset[str] | None:
    """Return which weights are to lie in columns where units are in lanes.

    Returns
    -------
    frozenset of str or None
        None if the kernels cannot have units in lanes: if a gradient would come neither in whole
        rows nor in whole columns of vectors, or a parameter would not begin with one.
    """
    of = {gradient: name for name, gradient in gradients.items()}
    ways: set[tuple[str, bool]] = set()  # parameter, and whether it lies in columns
    starts = accumulate(map(prod, parameters.values()), initial=0)
    if any(start % LANES for start in list(starts)[:-1]):
        return None
    for program in programs.values():
        units = tensors_of_units(program)
        for node in program.nodes:
            if isinstance(node, Elementwise) and any(s.buffer in of for s in node.stores):
                return None
            if "X" in reads(node) and not _multiplies_numbers(node, units):
                return None
            if not isinstance(node, Contract) or extents_of(program, node)[node.axis] != BATCH:
                continue
            left, right = node.left.buffer in units, node.right.buffer in units
            if node.out not in of or node.alpha != Const(1.0) or not (left or right):
                return None
            ways.add((of[node.out], not right))
    columns = frozenset(name for name, in_columns in ways if in_columns)
    if len({name for name, _ in ways}) < len(ways):
        return None
    for program in programs.values():
        units = tensors_of_units(program)
        for node in program.nodes:
            if isinstance(node, Contract) and node.out in units:
                weights = weights_of(program, node)
                extents = parameters[weights.buffer]
                turned = is_across(node, weights, columns)
                if turned and any(extent % LANES for extent in extents):
                    return None
    return columns if ways else None


def _multiplies_numbers(node: Node, units: frozenset[str]) -> bool:
    """Whether a node reads its factors as numbers, but for those in `units`."""
    return isinstance(node, Contract) and bool(
        {node.out, node.left.buffer, node.right.buffer} & units
    )


def weights_of(program: KernelProgram, node: Contract) -> Load:
    """Return the factor of a product that is a parameter."""
    (found,) = (
        load for load in (node.left, node.right) if program.buffer(load.buffer).role == "parameter"
    )
    return found


def is_across(node: Contract, weights: Load, by_columns: frozenset[str]) -> bool:
    """Whether a product to units in lanes needs vectors that its weights do not lie in."""
    in_columns = weights.axes.index(node.out_axes[0]) == 0  # a vector has one input's weights
    return in_columns != (weights.buffer in by_columns)


def parameters_read_first(program: KernelProgram, gradients: Mapping[str, str]) -> KernelProgram:
    """Return a step in which each gradient is summed after all that read its parameter.

    Then the sum may be added to the parameter itself. The sum moves down, as in
    `codegen.passes.fold_update`; what it reads is assigned once, and is still there.
    """
    nodes = list(program.nodes)
    for parameter, gradient in gradients.items():
        made = program.writer(gradient)
        readers = [node for node in program.readers(parameter) if not isinstance(node, Update)]
        if made is not None and readers:
            last = max(map(nodes.index, readers))
            place = nodes.index(made)
            if place < last:
                nodes.insert(last, nodes.pop(place))
    return replace(program, nodes=tuple(nodes))


class UnitKernel(BlockKernel):
    """The lines of one kernel while they are written."""

    def __init__(self, program: KernelProgram, layout: Layout) -> None:
        if program.name == "step":
            program = parameters_read_first(program, layout.gradients)
        super().__init__(program, layout)
        self.units = tensors_of_units(program)
        self.views: set[str] = set()  # further names: of tensors' numbers, of weights' vectors
        self.seen: dict[str, None] = {}  # tensors of which numbers are read
        self.turned: dict[str, int] = {}  # matrices written across, and how many numbers they are
        self.over_vectors = False  # while a loop over vectors of units is written
        self.count = "here" if self.sums_over_samples() else "LANES"

    # which nodes share a loop

    def joins(self, node: Node, group: list[Node]) -> bool:
        """Whether a node shares the loop of others, over units of tensors of samples."""
        return not self.alone(node) and not self.alone(group[0]) and super().joins(node, group)

    def alone(self, node: Node) -> bool:
        """Whether a node computes vectors of units."""
        if isinstance(node, Contract) and self.is_over_samples(node):
            return True
        if isinstance(node, Reduce):
            return any(load.buffer in self.units for load in loads(node.value))
        return writes(node)[0] in self.units

    def is_over_samples(self, node: Contract | Reduce) -> bool:
        """Whether a node sums over samples."""
        return extents_of(self.program, node)[node.axis] == BATCH

    # lines

    def group(self, group: list[Node]) -> None:
        """Write nodes that share a loop, or one that computes vectors of units."""
        node = group[0]
        if not self.alone(node):
            for each in group:
                if isinstance(each, Contract):
                    for factor in (each.left, each.right):
                        if factor.buffer in self.units:
                            self.turn(factor.buffer)
            super().group(group)
            return
        if isinstance(node, Contract) and not self.is_over_samples(node):
            weights = weights_of(self.program, node)
            if is_across(node, weights, self.layout.by_columns):
                self.turn(weights.buffer)
        self.tell(node, 1)
        match node:
            case Elementwise():
                kept = self.known.copy()
                before = len(self.lines)
                self.over_vectors = True
                self.elementwise(node, group, 2)
                self.over_vectors = False
                self.loop_over_vectors(self.columns(node.stores[0].buffer), before)
                self.known = kept
            case Contract():
                self.call("product", *self.product_arguments(node))
            case Reduce():
                (load,) = loads(node.value)
                self.used[load.buffer] = None
                self.used[node.out] = None
                columns = self.columns(load.buffer)
                self.call("add_rows", node.out, load.buffer, self.count, columns)
            case Update():
                raise InternalError(f"{node} is no part of a block")

    def loop_over_vectors(self, columns: object, start: int) -> None:
        """Put what was written since into a loop over the vectors of a tensor of units."""
        times = f" * {columns}" if columns != 1 else ""
        self.lines.insert(start, f"{INDENT}for v in range({self.count}{times}):")

    def call(self, function: str, *arguments: object) -> None:
        """Write a call of a function of whole matrices."""
        if function == "product":
            columns = arguments[-1]
            assert isinstance(columns, int)
            function = "product_by_pairs" if columns % 2 == 0 else "product"
        self.add(1, f"{function}({', '.join(map(str, arguments))})")

    def note(self, text: str) -> None:
        """Write a comment."""
        self.add(1, f"# {text}")

    def turn(self, name: str) -> None:
        """Write a matrix across, once: units for samples, or for units."""
        alias = f"{name}_turned"
        if alias in self.turned:
            return
        extents = [int(extent) for extent in self.buffers[name].shape if extent != BATCH]
        self.turned[alias] = prod(extents)
        if name in self.units:
            self.used[name] = None
            self.note(f"{name} with samples in lanes")
            self.call("turn", name, alias, 1, self.columns(name))
            return
        self.note(f"{name} with the units of its other layer in lanes")
        down, across = extents[::-1] if name in self.layout.by_columns else extents
        sizes = self.vectors_in(down), self.vectors_in(across)
        self.call("turn", self.vectors_of(name), alias, *sizes)

    def columns(self, name: str) -> object:
        """Return how many vectors a row of a tensor of units takes."""
        return self.vectors_in(int(self.buffers[name].shape[0]))

    def vectors_in(self, extent: int) -> object:
        """Return how many vectors so many numbers fill."""
        return extent // LANES

    def place(self, load: Load) -> str:
        """Return how an entry is read, or a vector of it."""
        name = load.buffer
        if name in self.known:
            return self.known[name]
        if name in self.units:
            if not self.over_vectors:
                return f"{name}_turned[{load.axes[0]}]"
            self.used[name] = None
            return f"{name}[v]"
        if name in self.layout.by_columns:
            load = Load(name, load.axes[::-1])
        return super().place(load)

    def reduce(self, node: Reduce, group: list[Node], depth: int) -> None:
        """Write a sum, or a largest entry, of tensors of samples."""
        if not (self.is_over_samples(node) and self.buffers[node.out].shape):
            super().reduce(node, group, depth)
            return
        place = self.place(Load(node.out, node.out_axes))
        self.add_total(place, node.value, depth)

    def add_total(self, place: str, value: Value, depth: int) -> None:
        """Add the sum of a vector's lanes to a number."""
        self.add(depth, f"{place} += total({self.text(value)}, here)")

    # products

    def product_arguments(self, node: Contract) -> tuple[object, ...]:
        """Return what a product is called with; its text is in ``unit_lanes.txt``."""
        if self.is_over_samples(node):
            by_columns = node.right.buffer not in self.units
            numbers, vectors = (node.right, node.left) if by_columns else (node.left, node.right)
            self.used[node.out] = None
            self.used[vectors.buffer] = None
            columns = self.columns(vectors.buffer)
            unit, sample = self.steps(numbers.buffer)
            count = self.buffers[numbers.buffer].shape[0]
            given = self.numbers_of(numbers.buffer), unit, sample
            return node.out, count, node.out, columns, *given, vectors.buffer, self.count, columns
        weights = weights_of(self.program, node)
        numbers = node.right if weights == node.left else node.left
        self.used[node.out] = None
        columns = self.columns(node.out)
        unit, sample = self.steps(numbers.buffer)
        is_turned = is_across(node, weights, self.layout.by_columns)
        vectors_of = f"{weights.buffer}_turned" if is_turned else self.vectors_of(weights.buffer)
        start = self.vectors_of(node.start.buffer) if node.start else self.zeros()
        given = self.numbers_of(numbers.buffer), sample, unit
        terms = self.buffers[numbers.buffer].shape[0]
        return node.out, self.count, start, 0, *given, vectors_of, terms, columns

    def steps(self, name: str) -> tuple[object, object]:
        """Return how far apart a tensor's numbers are from unit to unit and sample to sample."""
        by_samples = name in self.units or name == "X"
        return (1, self.buffers[name].shape[0]) if by_samples else ("LANES", 1)

    def numbers_of(self, name: str) -> str:
        """Return the name by which the numbers of a tensor are read."""
        self.seen[name] = None
        self.views.add(f"{name}_numbers")
        return f"{name}_numbers"

    def vectors_of(self, name: str) -> str:
        """Return the name by which the entries of a parameter are read as vectors."""
        self.views.add(f"{name}_vectors")
        return f"{name}_vectors"

    def zeros(self) -> str:
        """Return the name of a row of zeros."""
        self.views.add("zeros")
        return "zeros"

    def vector_shape(self, name: str) -> str:
        """Return the shape of a parameter as it lies."""
        extents = [str(extent) for extent in self.layout.parameters[name]]
        extents = extents[::-1] if name in self.layout.by_columns else extents
        return f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"

    # what is where

    def in_memory(self) -> dict[str, None]:
        """Return the tensors that have a place."""
        return self.used | self.seen

    def tensors(self) -> Iterator[str]:
        """Yield the lines that name the tensors in memory."""
        first = self.layout.first_entries()
        of = self.layout.parameter_of
        where = self.places()
        for name, extents in self.layout.parameters.items():
            shape = self.vector_shape(name)
            columns = 1 if len(extents) == 1 else extents[name not in self.layout.by_columns]
            if name in self.used:
                yield f"{name} = numbers(memory, {first[name]}, {columns})  # {shape}"
            if f"{name}_vectors" in self.views:
                yield f"{name}_vectors = rows(memory, {first[name] // LANES}, 1)  # {shape}"
        if "zeros" in self.views:
            yield "zeros = rows(memory, ZEROS, 1)  # where a sum has no bias"
        for name in self.in_order():
            buffer, place = self.buffers[name], where.get(name, "")
            if buffer.role == "parameter":
                continue
            if name in self.gradients and self.is_summed_by_lanes(name):
                place = f"{self.gradient_row} * LANES + {first[of[name]]}"
                yield f"{name} = numbers(memory, {place}, 1)  # {self.vector_shape(of[name])}"
            elif name in self.gradients:
                place = f"{self.gradient_row} + {first[of[name]] // LANES}"
                yield f"{name} = rows(memory, {place}, 1)  # {self.vector_shape(of[name])}"
            elif name in self.used:
                units = [str(extent) for extent in buffer.shape if extent != BATCH]
                axes = ["LANES", *units] if name in self.units else [*units, "LANES"]
                yield f"{name} = rows(memory, {place}, 1)  # ({', '.join(axes)}){self.why(name)}"
            if f"{name}_numbers" in self.views:
                start = f"({place})" if "+" in place else place
                yield f"{name}_numbers = numbers(memory, {start} * LANES, 1)"
        for alias, size in self.turned.items():
            # a tensor of units turned is as many rows, of LANES samples each
            size = size if alias.removesuffix("_turned") in self.units else size // LANES
            yield f"{alias} = rows(memory, WORK + {self.work_rows}, 1)"
            self.work_rows += size

    def is_summed_by_lanes(self, gradient: str) -> bool:
        """Whether a gradient is a number for each unit, the sum of a vector's lanes."""
        return any(
            isinstance(node, Reduce) and node.out == gradient and not self.alone(node)
            for node in self.program.nodes
        )

    def has_entries(self) -> bool:
        """Whether gradients are left as a vector of samples for each entry: they never are."""
        return False
