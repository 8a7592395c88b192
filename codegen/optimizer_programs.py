"""From an optimiser's formulas to kernel programmes, by the same parser and the same passes.

Every parameter is changed alike, entry by entry, so there is one programme for one parameter
with its entries in a row: their axis ``i`` stands in the place of the samples.

    schedule   the learning rate of an epoch                              float64
    numbers    what is made of numbers alone, once a step                 float64
    squares    a sum over the entries of one gradient
    clip       what is made of that sum for all gradients
    update     the parameter and the optimiser's state, entry by entry
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from codegen.errors import InternalError
from codegen.kernel import (
    Argument,
    Binary,
    Buffer,
    Dtype,
    Elementwise,
    Extent,
    KernelProgram,
    Load,
    Node,
    Reduce,
    Role,
    Store,
    Value,
    loads,
    parts,
    rebuild,
    writes,
)
from codegen.optimizers import SCHEDULES, Recipe
from codegen.passes import LANES_PIPELINE, PassReport, run_passes
from codegen.scalar import value_of
from derive.formula import parse_formula
from derive.formula_sympy import Term, to_sympy
from derive.program import base, index, scalar

ENTRY = ("i",)
ENTRIES: tuple[Extent, ...] = ("B",)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """What a module trains with, ready to be emitted.

    Attributes
    ----------
    recipe
        The formulas.
    programs
        ``numbers`` and ``update``; ``schedule`` where the rate is not constant, ``squares`` and
        ``clip`` where gradients are clipped.
    step_state, entry_state
        Names of the state: one number in all, and one for each entry.
    numbers
        Names of what `clip` and `update` are given of options and of the numbers of a step.
    reports
        What each pass did, by programme.
    """

    recipe: Recipe
    programs: Mapping[str, KernelProgram]
    step_state: tuple[str, ...]
    entry_state: tuple[str, ...]
    numbers: tuple[str, ...]
    reports: Mapping[str, tuple[PassReport, ...]]

    @property
    def rate(self) -> Argument | None:
        """The factor r of a step that is ``W := W - r g`` and nothing else, or None.

        Such a step may be folded into the sum that makes g: `codegen.passes.fold_update`.
        Clipping reads all gradients first, and others read theirs more than once.
        """
        match self.programs["update"].nodes:
            case (Elementwise(stores=(Store(buffer="W", value=value),)),):
                pass
            case _:
                return None
        match value:
            case Binary(
                op="-", left=Load(buffer="W"), right=Binary(op="*", left=one, right=other)
            ) if {type(one), type(other)} == {Argument, Load}:
                return one if isinstance(one, Argument) else other  # type: ignore[return-value]
            case _:
                return None


def optimizer_programs(recipe: Recipe, dtype: Dtype) -> Optimizer:
    """Return the kernel programmes of an optimiser, after the passes.

    Parameters
    ----------
    recipe
        As `codegen.optimizers.recipe` gives it.
    dtype
        Type of the parameters.

    Raises
    ------
    InternalError
        If an operation of numbers alone stands among entries, where it would be rounded to
        the parameters' type and repeated.
    """
    lowering = _Lowering(recipe)
    for line in recipe.formulas:
        lowering.lower_line(line)
    programs = {
        "numbers": lowering.program("numbers", "float64"),
        "squares": lowering.program("squares", dtype),
        "clip": lowering.program("clip", dtype),
        "update": lowering.program("update", dtype),
    }
    if recipe.schedule != "constant":
        programs["schedule"] = _schedule(SCHEDULES[recipe.schedule])
    ran = {
        name: run_passes(program, LANES_PIPELINE)
        for name, program in programs.items()
        if program.nodes or name == "numbers"
    }
    needed = [
        value.name
        for name in ("clip", "update")
        for node in programs[name].nodes
        for value in _arguments(node)
    ]
    return Optimizer(
        recipe=recipe,
        programs={name: program for name, (program, _) in ran.items()},
        step_state=tuple(lowering.step_state),
        entry_state=tuple(lowering.entry_state),
        numbers=tuple(name for name in dict.fromkeys(needed) if name not in lowering.of_sums),
        reports={name: reports for name, (_, reports) in ran.items()},
    )


class _Lowering:
    """The nodes and buffers of each programme so far."""

    def __init__(self, recipe: Recipe) -> None:
        targets = {line.partition(" = ")[0] for line in recipe.formulas}
        self.names = {"eta", *recipe.options, "W", "g", *targets}
        self.entries = {"W", "g"}
        self.of_sums: list[str] = []  # what is made of sums over all gradients
        self.defined: set[str] = set()
        self.step_state: list[str] = []
        self.entry_state: list[str] = []
        self.nodes: dict[str, list[Node]] = {
            name: [] for name in ("numbers", "squares", "clip", "update")
        }
        self.buffers: dict[str, dict[str, Buffer]] = {name: {} for name in self.nodes}
        self.declare("update", "W", ENTRIES, "parameter")
        self.declare("update", "g", ENTRIES, "input")

    def declare(self, program: str, name: str, shape: tuple[Extent, ...], role: Role) -> None:
        buffer = Buffer(name=name, shape=shape, role=role, dtype="float64")
        self.buffers[program].setdefault(name, buffer)

    def lower_line(self, line: str) -> None:
        """Append the nodes of a line, to the programme that it belongs to."""
        target, _, text = line.partition(" = ")
        summed = "sum(" in text
        formula = parse_formula(text, names=self.names, allow_sum=summed, what=line)
        read = set(formula.names)
        program = self.place(target, read, summed=summed)
        values = {
            name: base(name)[index("i")] if name in self.entries else scalar(name) for name in read
        }

        def total(term: Term) -> object:
            self.add_sum(value_of(term({"g": values["g"]})), line)
            return scalar("squares")

        expression = to_sympy(formula, values, total=total)
        value = self.with_arguments(program, value_of(expression))
        if program == "update" and _combines_numbers(value):
            raise InternalError(f"{line}: numbers are combined where entries are")
        axes = ENTRY if program == "update" else ()
        store = Store(buffer=target, axes=axes, value=value)
        self.nodes[program].append(Elementwise(axes=axes, stores=(store,), origin=(line,)))
        self.defined.add(target)

    def place(self, target: str, read: set[str], *, summed: bool) -> str:
        """Return the programme that a line belongs to, with what it defines declared there."""
        shape: tuple[Extent, ...] = ()
        if read & self.entries and not summed:
            program, shape = "update", ENTRIES
        elif summed or read & set(self.of_sums):
            program = "clip"
        else:
            program = "numbers"
        if program == "clip":
            self.of_sums.append(target)
        elif program == "update":
            self.entries.add(target)
        is_state = target in read and target not in self.defined and target != "W"
        if is_state:
            (self.entry_state if shape else self.step_state).append(target)
        self.declare(program, target, shape, "parameter" if is_state else "work")
        return program

    def add_sum(self, summand: Value, line: str) -> None:
        """Append the sum over a gradient's entries, which ``clip`` is given for all gradients."""
        self.nodes["squares"].append(
            Reduce(out="squares", out_axes=(), axis="i", op="sum", value=summand, origin=(line,))
        )
        self.declare("squares", "g", ENTRIES, "input")
        self.declare("squares", "squares", (), "output")
        self.declare("clip", "squares", (), "input")

    def with_arguments(self, program: str, value: Value) -> Value:
        """Return a value in which whatever the programme does not compute is an argument."""
        match value:
            case Load(buffer=name, axes=()) if name not in self.buffers[program]:
                return Argument(name)
            case _:
                inner = tuple(self.with_arguments(program, part) for part in parts(value))
                return rebuild(value, inner)

    def program(self, name: str, dtype: Dtype) -> KernelProgram:
        """Return a programme; what it gives is its state, and what others are given of it."""
        nodes = tuple(self.nodes[name])
        written = [written for node in nodes for written in writes(node)]
        outputs = {
            "numbers": written,
            "squares": written,
            "clip": written[-1:],
            "update": [one for one in written if one in ("W", *self.entry_state)],
        }
        return KernelProgram(
            name=name,
            dtype=dtype,
            buffers=tuple(replace(b, dtype=dtype) for b in self.buffers[name].values()),
            nodes=nodes,
            outputs=tuple(outputs[name]),
        )


def _schedule(text: str) -> KernelProgram:
    """Return the learning rate as a programme in ``eta``, ``epoch`` and ``epochs``."""
    names = ("eta", "epoch", "epochs")
    formula = parse_formula(text, names=names, what="schedule")
    value = _all_arguments(value_of(to_sympy(formula, {name: scalar(name) for name in names})))
    store = Store(buffer="rate", axes=(), value=value)
    return KernelProgram(
        name="schedule",
        dtype="float64",
        buffers=(Buffer(name="rate", shape=(), role="output", dtype="float64"),),
        nodes=(Elementwise(axes=(), stores=(store,), origin=(f"rate = {text}",)),),
        outputs=("rate",),
    )


def _all_arguments(value: Value) -> Value:
    if isinstance(value, Load):
        return Argument(value.buffer)
    return rebuild(value, tuple(_all_arguments(part) for part in parts(value)))


def _combines_numbers(value: Value) -> bool:
    """Whether a part combines numbers that are given at run time, and no entry."""
    inner = parts(value)
    if inner and not any(True for _ in loads(value)):
        return any(isinstance(part, Argument) for part in inner)
    return any(_combines_numbers(part) for part in inner)


def _arguments(node: Node) -> list[Argument]:
    def found(value: Value) -> list[Argument]:
        if isinstance(value, Argument):
            return [value]
        return [argument for part in parts(value) for argument in found(part)]

    if isinstance(node, Elementwise):
        return [argument for store in node.stores for argument in found(store.value)]
    return []
