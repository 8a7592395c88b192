"""`reuse_memory`: buffers that are never needed at the same time share memory."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from kernels import (
    ETA,
    NETWORKS,
    Shape,
    assert_same_results,
    at,
    contract,
    elementwise,
    kernel_program,
    lowered,
    reduce,
    values_for,
)
from strategies import layer_sizes, seeds

from codegen.cost import work_bytes
from codegen.errors import InternalError
from codegen.interpreter import interpret
from codegen.kernel import Binary, Call, Elementwise, KernelProgram, Node, Value, reads, writes
from codegen.passes import PIPELINE, fuse, keep_in_registers, reuse_memory, run_passes
from codegen.sharing import Meetings
from codegen.verify import verify

ROWS: dict[str, Shape] = dict.fromkeys(("Z1", "H1", "Z2", "H2", "U"), (3, "B"))


def rooms(program: KernelProgram) -> dict[str, str]:
    """Return who lies in whose memory."""
    return {b.name: b.room for b in program.buffers if b.room is not None}


def tanh(name: str) -> Value:
    return Call("tanh", (at(name),))


def times(left: str, right: str) -> Value:
    return Binary("*", at(left), at(right))


def chain(*nodes: Node, outputs: tuple[str, ...] = ("Q",), **work: Shape) -> KernelProgram:
    return kernel_program(
        *nodes,
        inputs={"X": (3, "B"), "x": ("B",)},
        parameters={"K": (3, 3), "J": (2, 3)},
        work={"Q": (3, "B"), **ROWS, **work},
        outputs=outputs,
    )


LAYERS = (
    contract("Z1[j,i]", "K[j,k]", "X[k,i]"),
    elementwise("H1[j,i]", tanh("Z1[j,i]")),
    contract("Z2[j,i]", "K[j,k]", "H1[k,i]"),
    elementwise("H2[j,i]", tanh("Z2[j,i]")),
)

PLACED: dict[str, tuple[KernelProgram, dict[str, str]]] = {
    "a function over its argument": (
        chain(*LAYERS[:2], contract("Q[j,i]", "K[j,k]", "H1[k,i]")),
        {"H1": "Z1"},
    ),
    "layers by turns": (
        chain(
            *LAYERS,
            contract("U[j,i]", "K[j,k]", "H2[k,i]"),
            contract("Q[j,i]", "K[j,k]", "U[k,i]"),
        ),
        {"H1": "Z1", "H2": "Z2", "U": "Z1"},
    ),
    "what is read later keeps its memory": (
        chain(*LAYERS, elementwise("Q[j,i]", times("H1[j,i]", "H2[j,i]"))),
        {"H1": "Z1", "H2": "Z2"},
    ),
    "what its argument is read for later is written elsewhere": (
        chain(*LAYERS[:2], elementwise("Q[j,i]", times("Z1[j,i]", "H1[j,i]"))),
        {},
    ),
    "a row in the first row of what comes later": (
        chain(
            reduce("r[i]", "k", at("X[k,i]")),
            elementwise("s[i]", times("r[i]", "x[i]")),
            elementwise("t[j,i]", times("X[j,i]", "s[i]")),
            *LAYERS[:2],
            elementwise("Q[j,i]", times("H1[j,i]", "t[j,i]")),
            r=("B",),
            s=("B",),
            t=(3, "B"),
        ),
        {"s": "Z1", "r": "Z1", "H1": "Z1"},
    ),
    "a smaller one in the first rows of a larger one": (
        chain(
            *LAYERS[:2],
            contract("Z2[j,i]", "K[j,k]", "H1[k,i]"),
            contract("v[j,i]", "J[j,k]", "Z2[k,i]"),
            reduce("r[i]", "j", at("v[j,i]")),
            elementwise("Q[j,i]", times("X[j,i]", "r[i]")),
            v=(2, "B"),
            r=("B",),
        ),
        {"H1": "Z1", "v": "Z1", "r": "Z2"},
    ),
    "not what a loop may compute once more, from what it read": (
        chain(
            LAYERS[0],
            elementwise("H1[j,i]", Call("sin", (at("Z1[j,i]"),))),
            contract("Q[j,i]", "K[j,k]", "H1[k,i]"),
        ),
        {},
    ),
    "an output of the caller's is left alone": (
        chain(*LAYERS[:2], outputs=("H1",)),
        {},
    ),
    "an output among the work is needed to the end": (
        replace(chain(*LAYERS, outputs=()), outputs=("Z1",)),
        {"H2": "Z2"},
    ),
    "entries of a matrix, as they have the same shape": (
        chain(
            elementwise("A[j,k]", times("K[j,k]", "K[j,k]")),
            elementwise("C[j,k]", times("A[j,k]", "K[j,k]")),
            elementwise("D[j,k]", times("C[k,j]", "K[j,k]")),
            contract("Q[j,i]", "D[j,k]", "X[k,i]"),
            A=(3, 3),
            C=(3, 3),
            D=(3, 3),
        ),
        {"C": "A"},  # and D reads C transposed
    ),
}


@pytest.mark.parametrize(("program", "expected"), PLACED.values(), ids=PLACED)
def test_who_lies_where(program: KernelProgram, expected: dict[str, str]) -> None:
    placed = verify(reuse_memory(verify(program)))
    assert rooms(placed) == expected
    assert placed.nodes == program.nodes
    assert_same_results(program, placed)
    assert reuse_memory(placed) == placed


def test_stores_of_one_loop_follow_one_another_over_the_same_memory() -> None:
    first, second = (
        elementwise("U[j,i]", times("H1[j,i]", "X[j,i]")),
        elementwise("H2[j,i]", times("U[j,i]", "H1[j,i]")),
    )
    both = Elementwise(axes=("j", "i"), stores=first.stores + second.stores)
    last = contract("Q[j,i]", "K[j,k]", "H2[k,i]")
    program = keep_in_registers(chain(*LAYERS[:2], both, last))
    placed = verify(reuse_memory(program))
    assert rooms(placed) == {"H1": "Z1", "H2": "Z1"}  # U is in a register
    assert_same_results(program, placed)


def test_the_memory_of_a_forward_pass_does_not_grow_with_depth() -> None:
    def needed(hidden: int) -> int:
        program = lowered("-".join(["3", *["8"] * hidden, "3"]), "cross-entropy")["forward"]
        return work_bytes(run_passes(program, PIPELINE)[0], 10)

    assert needed(2) == needed(5) == 2 * 8 * 10 * 8


# ---------------------------------------------------------------- any programme, any network


def straight_line(seed: int, count: int) -> KernelProgram:
    """Return a programme of random nodes, each of which reads what came before."""
    draw = random.Random(seed)
    units = {"X": draw.randint(1, 4)}
    parameters: dict[str, Shape] = {}
    nodes: list[Node] = []

    def operand(extent: int) -> str:
        choices = [name for name, n in units.items() if n in (extent, 0)]
        name = draw.choice(choices[-4:]) if choices else "x"
        return f"{name}[j,i]" if units.get(name, 0) else f"{name}[i]"

    for number in range(count):
        name, kind = f"t{number}", draw.choice(("map", "map", "map", "product", "sum"))
        source = draw.choice([n for n, extent in units.items() if extent][-3:])
        if kind == "map":
            value = Binary(draw.choice("+*"), at(f"{source}[j,i]"), at(operand(units[source])))
            nodes.append(elementwise(f"{name}[j,i]", value))
            units[name] = units[source]
        elif kind == "product":
            units[name] = draw.randint(1, 4)
            weights = f"K{units[name]}{units[source]}"
            parameters[weights] = (units[name], units[source])
            nodes.append(contract(f"{name}[j,i]", f"{weights}[j,k]", f"{source}[k,i]"))
        else:
            nodes.append(
                reduce(f"{name}[i]", "j", at(f"{source}[j,i]"), draw.choice(("sum", "max")))
            )
            units[name] = 0
    names = [name for name in units if name != "X"]
    shapes: dict[str, Shape] = {n: (units[n], "B") if units[n] else ("B",) for n in names}
    outputs = draw.sample(names, draw.randint(1, min(3, len(names))))
    program = kernel_program(
        *nodes,
        inputs={"X": (units["X"], "B"), "x": ("B",)},
        parameters=parameters,
        work=shapes,
        outputs=sorted(outputs),
    )
    return fuse(program) if draw.random() < 0.7 else program


def assert_none_is_overwritten_while_it_is_needed(program: KernelProgram) -> None:
    """As the pass should have it, by all pairs: no lifetimes, and nobody followed."""
    memory = {b.name: b.memory for b in program.buffers}
    made = {name: n for n, node in enumerate(program.nodes) for name in writes(node)}
    for one, other in itertools.combinations(made, 2):
        if memory[one] == memory[other] and made[one] <= made[other]:
            last = max((n for n, x in enumerate(program.nodes) if one in reads(x)), default=-1)
            assert last <= made[other], (one, other)
            assert one not in program.outputs


@given(seed=seeds)
@settings(max_examples=150, deadline=None)
def test_any_programme(seed: int) -> None:
    program = keep_in_registers(verify(straight_line(seed, 2 + seed % 12)))
    placed = verify(reuse_memory(program))
    assert_same_results(program, placed)
    assert_none_is_overwritten_while_it_is_needed(placed)
    assert work_bytes(placed, 10) <= work_bytes(program, 10)


@given(sizes=layer_sizes(hidden=2) | layer_sizes(hidden=0) | layer_sizes(hidden=4))
@settings(max_examples=5, deadline=None)
def test_networks_of_any_depth_and_widths(sizes: tuple[int, ...]) -> None:
    for program in lowered("-".join(map(str, sizes)), "cross-entropy").values():
        before, _ = run_passes(program, PIPELINE[:-1], interpret=False)
        placed = verify(reuse_memory(before))
        assert_same_results(before, placed)
        assert_none_is_overwritten_while_it_is_needed(placed)
        assert work_bytes(placed, 10) < work_bytes(before, 10)


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_threads_need_not_meet_more_often(network: tuple[str, str]) -> None:
    for name, program in lowered(*network).items():
        before, _ = run_passes(program, PIPELINE[:-1], interpret=False)
        counts = []
        for each in (before, reuse_memory(before)):
            meetings = Meetings(each)
            counts.append(sum(meetings.before(node) for node in each.nodes))
        assert counts[0] == counts[1], name


# ---------------------------------------------------------------- what must be refused

GOOD = reuse_memory(PLACED["layers by turns"][0])


def lying(**placed: str | None) -> KernelProgram:
    """Return `GOOD` with other places for some of its buffers."""
    return replace(
        GOOD,
        buffers=tuple(
            replace(b, room=placed[b.name]) if b.name in placed else b for b in GOOD.buffers
        ),
    )


def transposed() -> KernelProgram:
    nodes: list[Node] = [
        elementwise("A[j,k]", times("K[j,k]", "K[j,k]")),
        elementwise("C[j,k]", times("A[k,j]", "K[j,k]")),
        contract("Q[j,i]", "C[j,k]", "X[k,i]"),
    ]
    broken = chain(*nodes, A=(3, 3), C=(3, 3))
    return replace(
        broken,
        buffers=tuple(replace(b, room="A") if b.name == "C" else b for b in broken.buffers),
    )


def again() -> KernelProgram:
    sine = PLACED["not what a loop may compute once more, from what it read"][0]
    return replace(
        sine, buffers=tuple(replace(b, room="Z1") if b.name == "H1" else b for b in sine.buffers)
    )


REFUSED: dict[str, tuple[Callable[[], KernelProgram], str]] = {
    "over what the product reads": (lambda: lying(Z2="Z1", H2="Z1"), "Z2 is written over H1 there"),
    "over what is read later": (
        lambda: replace(GOOD, nodes=(*GOOD.nodes[:-1], LATE)),
        "H1 is read where U lies by then",
    ),
    "over an output": (
        lambda: replace(GOOD, outputs=("H1",)),
        "U lies over the output H1",
    ),
    "in a loop that may run again": (again, "H1 is written over Z1 there"),
    "transposed": (transposed, "C is written over A there"),
    "in what has no memory of its own": (lambda: lying(H2="H1"), "H2 lies in H1, which is no"),
    "in what is not there": (lambda: lying(H2="M"), "H2 lies in M, which is no"),
    "in the caller's array": (lambda: lying(H2="X"), "H2 lies in X, which is no"),
    "in too few rows": (
        lambda: replace(
            SMALL,
            buffers=tuple(replace(b, room="v") if b.name == "Z2" else b for b in SMALL.buffers),
        ),
        "Z2 does not fit into v",
    ),
}
SMALL = PLACED["a smaller one in the first rows of a larger one"][0]
LATE = elementwise("Q[j,i]", times("U[j,i]", "H1[j,i]"))


@pytest.mark.parametrize(("broken", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_well_formed_is_refused(
    broken: Callable[[], KernelProgram], message: str
) -> None:
    with pytest.raises(InternalError, match=message):
        verify(broken())


@pytest.mark.parametrize("case", ["over what the product reads", "transposed"])
def test_the_interpreter_shares_memory_too(case: str) -> None:
    broken = REFUSED[case][0]()
    found = interpret(broken, values_for(broken), {"eta": ETA})
    assert np.isnan(found["Q"]).all()


def test_what_is_overwritten_is_not_among_the_results() -> None:
    found = interpret(GOOD, values_for(GOOD))
    assert {"Z1", "H1", "Z2"}.isdisjoint(found)
    assert {"U", "H2", "Q"} <= set(found)
