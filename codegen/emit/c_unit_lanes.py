"""Kernels of small networks in C whose vectors hold units: those of `unit_lanes` once more.

How many lanes a vector has, the C compiler says; LANES of this module is the most, so that
layers which fill its vectors fill those of any processor.
"""

from collections.abc import Iterator, Mapping
from math import prod

from codegen.emit.c_blocks import INDENT, CBlockKernel
from codegen.emit.unit_lanes import UnitKernel
from codegen.kernel import Load, Value


class CUnitKernel(UnitKernel, CBlockKernel):
    """The lines of one kernel while they are written."""

    sums_name = "grads"
    adds_in_place = True

    @property
    def knows_samples(self) -> bool:  # type: ignore[override]
        """Whether the kernel is told how many samples a block has."""
        return self.count == "here"

    def vectors_in(self, extent: int) -> object:
        """Return how many vectors so many numbers fill."""
        return f"{extent} / LANES"

    def loop_over_vectors(self, columns: object, start: int) -> None:
        """Put what was written since into a loop over the vectors of a tensor of units."""
        head = f"{INDENT}for (size_t v = 0; v < {self.count} * ({columns}); v++)"
        body = self.lines[start:]
        if len(body) > 1:
            head, body = head + " {", [*body, INDENT + "}"]
        self.lines[start:] = [head, *body]

    def call(self, function: str, *arguments: object) -> None:
        """Write a call of a function of whole matrices."""
        self.add(1, f"{function}({', '.join(map(str, arguments))});")

    def note(self, text: str) -> None:
        """Write a comment."""
        self.add(1, f"// {text}")

    def place(self, load: Load) -> str:
        """Return how an entry is read, or a vector of it."""
        name = load.buffer
        if name in self.layout.by_columns and name not in self.known:
            self.used[name] = None
            j, k = load.axes
            return f"{name}[{k} * {self.layout.parameters[name][0]} + {j}]"
        return super().place(load)

    def add_total(self, place: str, value: Value, depth: int) -> None:
        """Add the sum of a vector's lanes to a number."""
        self.add(depth, f"{place} += v_total({self.writer.vector(value)}, here);")

    def zeros(self) -> str:
        """Return what a sum starts from that has no bias."""
        return "NULL"

    # what is where

    def parameter_lines(self) -> Iterator[str]:
        """Yield the lines that name the parameters, as numbers and as vectors."""
        yield from super().parameter_lines()
        first = self.layout.first_entries()
        for name, start in first.items():
            if f"{name}_vectors" in self.views:
                row = f"(const lanes *)(params + {start})"
                yield f"const lanes *{name}_vectors = {row};  // {self.shape(name)}"

    def gradient_line(self, name: str) -> str:
        """Return the line that names a gradient."""
        first = self.layout.first_entries()[self.layout.parameter_of[name]]
        if self.is_summed_by_lanes(name):
            return f"T *{name} = (T *)grads + {first};  // {self.shape(name)}"
        return f"lanes *{name} = grads + {first} / LANES;  // {self.shape(name)}"

    def shape(self, name: str) -> str:
        """Return the shape of a tensor as it lies, without the samples."""
        parameter = self.layout.parameter_of.get(name, name)
        if parameter in self.layout.parameters:
            return self.vector_shape(parameter)
        return super().shape(name)

    def starts_empty(self, room: str) -> bool:
        """Whether a tensor there is written across, with rows for samples that are not here."""
        rooms = self.rooms()
        return any(rooms[name][0] == room for name in self.units if f"{name}_turned" in self.turned)

    def view_lines(self) -> Iterator[str]:
        """Yield the lines that name tensors' numbers, and matrices written across."""
        for name in self.seen:
            yield f"const T *{name}_numbers = (const T *){name};"
        for alias, size in self.turned.items():
            is_tensor = alias.removesuffix("_turned") in self.units
            yield f"lanes {alias}[{size if is_tensor else self.vectors_in(size)}];"


def copy_functions(parameters: Mapping[str, tuple[int, ...]], by_columns: frozenset[str]) -> str:
    """Return the functions that copy what has an entry for each parameter to and from a room.

    Weights that lie in columns there are turned.
    """
    names = " and ".join(name for name in parameters if name in by_columns)
    told = f"/* Copy parameters, or what has an entry for each, to a room: {names} by columns. */"
    return "\n".join(
        [
            *_copy_function("to_room", told, parameters, by_columns),
            *_copy_function("from_room", "/* Copy them back. */", parameters, by_columns),
        ]
    )


def _copy_function(
    name: str, told: str, parameters: Mapping[str, tuple[int, ...]], by_columns: frozenset[str]
) -> list[str]:
    lines = [told, f"static void {name}(T *taken, const T *given)", "{"]
    start = 0
    for parameter, shape in parameters.items():
        if parameter in by_columns:
            rows, columns = shape
            both = [f"{start} + k * {rows} + j", f"{start} + j * {columns} + k"]
            to, of = both if name == "to_room" else both[::-1]
            lines += [
                f"{INDENT}for (size_t j = 0; j < {rows}; j++) /* {parameter} */",
                f"{INDENT * 2}for (size_t k = 0; k < {columns}; k++)",
                f"{INDENT * 3}taken[{to}] = given[{of}];",
            ]
        else:
            size = f"{prod(shape)} * sizeof(T)"
            lines.append(f"{INDENT}memcpy(taken + {start}, given + {start}, {size});")
        start += prod(shape)
    return [*lines, "}", ""]


def between_macros(widths: list[int]) -> str:
    """Return, for each number of lanes, how halves of two vectors are laid between one another."""
    lines: list[str] = []
    for number, count in enumerate(widths):
        lines.append(f"#{'el' * bool(number)}if LANES == {count}")
        for half, name in enumerate(("LOW", "HIGH")):
            first = half * count // 2
            places = [p for lane in range(first, first + count // 2) for p in (lane, count + lane)]
            listed = ", ".join(map(str, places))
            lines += [f"#define BETWEEN_{name}(a, b) \\", f"    SHUFFLE(a, b, {listed})"]
    return "\n".join([*lines, "#endif"])
