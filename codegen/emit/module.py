"""The emitted module: header, kernels, training, interface and self-check, as one text.

The text is the same for the same input. It imports NumPy and Numba, and SciPy where a
product goes through BLAS; nothing of this project.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from codegen.approximation import BOUNDED, DECORATOR, FMA, KNOWN, ElementaryFunction, with_needed
from codegen.emit import lane_functions
from codegen.emit.block_kernels import block_function, layout_of
from codegen.emit.block_layout import Layout
from codegen.emit.kernel_parts import sparse_weights, uses_blas
from codegen.emit.loop_lines import LANES
from codegen.emit.loops import kernel_source
from codegen.emit.module_placeholders import (
    call_placeholders,
    network_placeholders,
    second_order_placeholders,
    training_placeholders,
)
from codegen.emit.optimizer import optimizer_functions
from codegen.emit.optimizer_change import Change, change, lane_change
from codegen.emit.optimizer_interface import optimizer_placeholders, state_constant
from codegen.emit.penalty import NO_PENALTY, penalty_placeholders
from codegen.emit.pieces import (
    constants,
    docstring,
    fill,
    filled_in_turn,
    indented,
    reference_lines,
    tidy,
)
from codegen.emit.shards import NO_SHARDS, shards_placeholders
from codegen.emit.sparse import sparse_placeholders
from codegen.emit.tiles import tile_placeholders
from codegen.kernel import Buffer, Elementwise, KernelProgram, Reduce, Update, called, reads
from codegen.optimizer_programs import Optimizer

# functions that are left to the C library, or to the processor
FROM_MATH = {name: f"math.{name}" for name in ("sqrt", "pow")}
BUILT_IN = {"abs"}
_UNKNOWN_HASH = "?" * 16
_INLINED = '_inlined = njit(**_FLAGS, **_INNER, fastmath={"contract"}, forceinline=True)\n'
_LARGER = '''\
@_intrinsic
def _larger(typing_context, x, y):
    """Return x, unless y is larger; Python's max would be compiled as a function of its own."""

    def build(context, builder, signature, arguments):
        x, y = arguments
        return builder.select(builder.fcmp_ordered(">", y, x), y, x)

    return x(x, x), build


'''
_LANES = f"T = DTYPE\nLANES = {LANES}  # a batch is padded to whole vectors of so many samples\n"


def module_source(
    *,
    header: str,
    spec: str,
    objective: Mapping[str, object],
    sizes: tuple[int, ...],
    output: str,
    parameters: Mapping[str, tuple[int, ...]],
    programs: Mapping[str, KernelProgram],
    reference: KernelProgram,
    gradient_reference: KernelProgram | None,
    assumptions: tuple[str, ...],
    lanes: bool,
    optimizer: Optimizer,
    gradient_names: Mapping[str, str],
    penalty: bool = False,
    shards: bool = False,
) -> str:
    """Return the module's text.

    Parameters
    ----------
    header
        The module's docstring.
    spec, objective, sizes, output, parameters
        What the module says of its network; `objective` holds further constants by name,
        and `output` is the last activation's name.
    programs
        The optimised kernel programmes ``forward``, ``loss``, ``gradients``, ``vjp`` and
        ``step``, and ``hvp`` if the module is to have it.
    reference
        The loss before any pass, for the self-check.
    gradient_reference
        The gradients before any pass, for the self-check of ``hvp``; None without it.
    assumptions
        What the kernels take for granted about the targets.
    lanes
        Whether the kernels are those of vectors, as `codegen.emit.block_layout.fits` says.
    optimizer
        What ``train`` does with the gradients.
    gradient_names
        Name of each parameter's gradient.
    penalty
        Whether ``train`` is given the number of a penalty; its step then returns the loss.
    shards
        Whether ``train`` may be given a shard of each batch.
    """
    blas = any(uses_blas(program) for program in programs.values())
    unified = _same_layout(programs)
    by_rows = _inputs_by_rows(unified)
    dtype = reference.dtype
    weights = sparse_weights(unified["step"])
    values = network_placeholders(
        sizes,
        output,
        dtype,
        blas=blas,
        by_rows=by_rows,
        sparse=weights is not None,
        checked=assumptions,
    )
    values["reference"] = indented(reference_lines(reference, tuple(parameters)), 4)
    values |= second_order_placeholders(programs.get("hvp"), gradient_reference, tuple(parameters))
    values |= (
        optimizer_placeholders(optimizer, lanes=lanes, team=not lanes) | NO_PENALTY | NO_SHARDS
    )
    values |= penalty_placeholders(values) if penalty else {}
    folded = optimizer.rate is not None
    changing = None
    units = False  # whether these are in lanes
    if lanes:
        layout = layout_of(unified, parameters, gradient_names, len(optimizer.entry_state))
        units = layout.units_in_lanes
        values |= _block_placeholders(layout, unified["step"], optimizer)
        kernels = [block_function(program, layout).source + "\n" for program in unified.values()]
        values |= sparse_placeholders(None, ())
    elif folded:
        values |= sparse_placeholders(weights, tuple(parameters))
    else:
        name = weights.name if weights else None
        changing = change(
            optimizer, parameters, gradient_names, name, penalty=penalty, shards=shards
        )
        of_weights = gradient_names[name] if name else None
        values |= sparse_placeholders(weights, tuple(parameters), of_weights, optimizer.entry_state)
    if not lanes:
        kernels = [_kernel(program, changing) for program in unified.values()]
    values["hash"] = _UNKNOWN_HASH
    values["inlined"] = "" if optimizer.recipe.is_plain else _INLINED
    values["place_own"] = f"{' ' * 4}_place_products()\n" if blas else ""
    values["place_products"] = f"_place_products()\n{' ' * 4}" if blas else ""
    values |= call_placeholders(sizes[0], sizes[-1], by_rows or units, values)
    if shards:
        values |= shards_placeholders(values, parameters, weights.name if weights else None)
    values = filled_in_turn(values)
    values["own_room"] = f",\n{' ' * 12}*_training_room(size, X.shape[0], test_X.shape[0])"
    values |= training_placeholders(lanes=lanes)
    values["work"] = fill("work_of_one" if lanes else "work_of_team", values)
    values["members"] = "1" if lanes else "members"
    values["members_by_itself"] = (
        "1" if lanes else "_members(None, min(batch, samples), epochs, samples)"
    )
    vectors = lanes or blas
    if vectors:
        values |= _vector_placeholders(dtype)
    if blas:
        values |= tile_placeholders(sizes, dtype)
    about = state_constant(optimizer, parameters) + _LANES
    sections = [
        docstring(header),
        _imports(blas=blas, vectors=vectors, units=units, team=not lanes),
        constants(spec, objective, sizes, parameters, dtype, about),
        "\n".join(layout.constants()) + "\n" if lanes else "",
        fill("support", values),
        fill("vectors", values) if vectors else "",
        _elementary(_with_formulas(unified, optimizer), dtype, lanes=lanes),
        fill("blas", values) if blas else "",
        fill("unit_lanes", values) if units else "",
        fill("apart", values) + ("" if lanes else "\n" + fill("packed", values)),
        fill("products", values) if blas else "",
        "# ------------------------------------------------------------------ kernels\n",
        _LARGER if any("_larger(" in kernel for kernel in kernels) else "",
        "" if optimizer.recipe.is_plain else optimizer_functions(optimizer, lanes=lanes),
        *kernels,
        fill("blocks", values) if lanes else "",
        fill("block_optimizer", values) if lanes and optimizer.entry_state else "",
        fill("order", values),
        "" if lanes else fill("team", values),
        values["prefetch"] if by_rows or weights is not None else "",
        fill("sparse", values) if weights is not None else "",
        fill("sparse_rows", values) if weights is not None else "",
        fill("shards", values) if shards else "",
        fill("block_training" if lanes else "training", values),
        fill("interface", values),
        "" if optimizer.recipe.is_plain else fill("optimizer", values),
        fill("second_order", values) if gradient_reference else "",
        fill("self_check", values),
    ]
    text = tidy("\n".join(section for section in sections if section))
    return text.replace(_UNKNOWN_HASH, hashlib.sha256(text.encode()).hexdigest()[:16])


def _same_layout(programs: Mapping[str, KernelProgram]) -> dict[str, KernelProgram]:
    """Return the programmes with the inputs stored alike in all: as those want that read them."""
    by_rows = all(
        program.buffer("X").batch_first
        for program in programs.values()
        if any("X" in reads(node) for node in program.nodes)
    )

    def stored(buffer: Buffer) -> Buffer:
        return replace(buffer, batch_first=by_rows and buffer.name == "X")

    return {
        name: replace(program, buffers=tuple(stored(buffer) for buffer in program.buffers))
        for name, program in programs.items()
    }


def _inputs_by_rows(programs: Mapping[str, KernelProgram]) -> bool:
    return programs["forward"].buffer("X").batch_first


def _with_formulas(
    programs: Mapping[str, KernelProgram], optimizer: Optimizer
) -> dict[str, KernelProgram]:
    """Return the programmes with the one whose functions an optimiser calls for each entry."""
    own = {} if optimizer.rate is not None else {"update": optimizer.programs["update"]}
    return {**programs, **own}


def _kernel(program: KernelProgram, changing: Change | None) -> str:
    if program.name == "step":
        return kernel_source(program, changing)
    return kernel_source(program).replace("@_kernel", "@_entry")


def _block_placeholders(
    layout: Layout, step: KernelProgram, optimizer: Optimizer
) -> dict[str, str]:
    """Return the names and places of the parameters, for kernels of vectors."""
    updates = [
        formula for node in step.nodes if isinstance(node, Update) for formula in node.origin
    ]
    folded = [
        "# for every parameter, LANES entries at a time:",
        *(f"#   {formula}" for formula in updates),
        "parameter, gradient = rows(memory, 0, 1), rows(memory, GRADIENT, 1)",
        "for p in range(PARAMETER_ROWS):",
        "    parameter[p] -= eta * gradient[p]",
    ]
    return {
        "parameters": ", ".join(layout.parameters),
        "gradients": ", ".join(layout.gradients[name] for name in layout.parameters),
        "take": _copies(layout, "numbers({name}, 0, 1)", "numbers(room, {place}, 1)"),
        "give": _copies(layout, "numbers(memory, start + {place}, 1)", "numbers({name}, 0, 1)"),
        "take_from": _copies(layout, "numbers({name}, 0, 1)", "numbers(room, start + {place}, 1)"),
        # Where an optimiser follows, all is one function: Numba compiles `_step` by itself, and
        # once more in `_train`, and the two need not round alike. Plain SGD would be slower so.
        "of_step": "_jit" if optimizer.rate else "_inlined",
        "one_block": fill("one_block", {"w": str(layout.inputs["X"] + layout.inputs["Y"])})
        if optimizer.rate
        else "",
        "into": ", GRADIENT" if optimizer.rate else "",
        **_inputs_in_blocks(layout),
        "change": indented(folded, 4) if optimizer.rate else lane_change(optimizer),
    }


def _inputs_in_blocks(layout: Layout) -> dict[str, str]:
    """Return how blocks take their inputs: sample after sample where units are in lanes."""
    inputs = layout.inputs["X"]
    if layout.units_in_lanes:
        return {
            "put_rows": fill("put_rows", {}),
            "put_x": "_put_rows(X, first, memory, INPUTS)",
            "x_columns": str(inputs),
            "x_entry": "i, m",
        }
    return {
        "put_rows": "",
        "put_x": f"_put(X, {inputs}, X.shape[1], first, memory, INPUTS)",
        "x_columns": "LANES",
        "x_entry": "m, i",
    }


def _copies(layout: Layout, given: str, taken: str) -> str:
    """Return the lines that copy each parameter from or to its place; sizes are no literals.

    One that lies in columns there is turned: into as many as it has where it is taken.
    """
    lines = []
    for name, place in layout.first_entries().items():
        both = f"{given}, {taken}".format(name=name, place=place)
        if name in layout.by_columns:
            axis = 1 if given.startswith("numbers({name}") else 0
            lines.append(f"_copy_turned({both}, {name}.size, {name}.shape[{axis}])")
        else:
            lines.append(f"_copy({both}, {name}.size)")
    return indented(lines, 4)


def _vector_placeholders(dtype: str) -> dict[str, str]:
    return {
        "element": "FloatType" if dtype == "float32" else "DoubleType",
        "dtype": dtype,
    }


def _imports(*, blas: bool, vectors: bool, units: bool, team: bool) -> str:
    lines = ["import ctypes", "import gc", "import itertools", "import math"]
    lines += ["import sys"]
    lines += ["from concurrent.futures import ThreadPoolExecutor, wait"]
    lines += ["from contextlib import contextmanager" + (", nullcontext" if team else "")]
    lines += ["from functools import cache"]
    third = [
        "import llvmlite.binding",
        "import numpy as np",
        "from llvmlite import ir",
        "from numba import njit, typeof, types",
        "from numba.core import cgutils",
        "from numba.core.codegen import JITCodeLibrary",
        "from numba.core.compiler import CompilerBase, DefaultPassBuilder",
        "from numba.core.typing import templates",
        "from numba.extending import lower_builtin",
    ]
    if vectors:
        lines.append("import operator")
        overload = "overload, " if units else ""
        third[-2:] = [
            "from numba.core.typing import signature, templates",
            f"from numba.extending import lower_builtin, models, {overload}register_model",
        ]
    if units:
        lines.append("import inspect")
    if team:
        lines += ["import os", "import threading", "from pathlib import Path"]
    if blas:
        third += ["import threadpoolctl", "from scipy.linalg import cython_blas"]
    for part in (lines, third):
        part.sort(key=lambda line: (line.startswith("from"), line))  # modules first
    return "\n".join([*lines, "", *third]) + "\n"


def _elementary(programs: Mapping[str, KernelProgram], dtype: str, *, lanes: bool) -> str:
    """Return the source of the elementary functions that the kernels call."""
    names = sorted({name for program in programs.values() for name in _functions(program)})
    needed: list[ElementaryFunction] = []
    lines: list[str] = []
    for name in names:
        if name in KNOWN:
            needed += [found for found in with_needed(name, dtype) if found not in needed]
        elif not lanes:
            lines.append(f"{name} = {FROM_MATH[name]}")
        elif name != "sqrt":
            lines.append(f"{name} = _by_lane({FROM_MATH[name]})")
    if not needed and not lines:
        return ""
    bounded = [function.name for function in needed if function.name in BOUNDED]
    if lanes and bounded:
        lines += [f"library_{name} = _by_lane(math.{name})" for name in bounded]
        lines.append(lane_functions.ANY_LANE)
    title = f"# {'-' * 66} elementary functions\n"
    sources = [lane_functions.lane_source(f) if lanes else f.source for f in needed]
    fma = lane_functions.FMA if lanes else FMA.replace("@intrinsic", "@_intrinsic")
    fused = [fma] if needed else []
    sources = [text.replace(DECORATOR, "@_exact") for text in sources]
    return "\n\n".join([title + "\n".join(lines), *fused, *sources])


def _functions(program: KernelProgram) -> set[str]:
    found: set[str] = set()
    for node in program.nodes:
        if isinstance(node, Elementwise):
            for store in node.stores:
                found |= called(store.value)
        elif isinstance(node, Reduce):
            found |= called(node.value)
    return found - BUILT_IN
