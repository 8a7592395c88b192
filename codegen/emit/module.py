"""The emitted module: header, kernels, training, interface and self-check, as one text.

The text is the same for the same input. It imports NumPy and Numba, and SciPy where a
product goes through BLAS; nothing of this project.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from codegen.approximation import DECORATOR, FMA, KNOWN, ElementaryFunction, with_needed
from codegen.emit import lane_functions
from codegen.emit.block_kernels import block_source, layout_of, product_functions
from codegen.emit.block_layout import Layout
from codegen.emit.loops import LANES, kernel_inputs, kernel_source, sparse_weights, uses_blas
from codegen.emit.optimizer import optimizer_functions
from codegen.emit.optimizer_change import Change, change, lane_change
from codegen.emit.optimizer_interface import optimizer_placeholders, state_constant
from codegen.emit.penalty import NO_PENALTY, penalty_placeholders
from codegen.emit.pieces import (
    ROWS_SUM_TO_ONE,
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
from derive.program import ONE_HOT

# functions that are left to the C library, or to the processor
FROM_MATH = {name: f"math.{name}" for name in ("sqrt", "pow")}
BUILT_IN = {"abs"}
_UNKNOWN_HASH = "?" * 16
_INLINED = '_inlined = njit(**_FLAGS, **_INNER, fastmath={"contract"}, forceinline=True)\n'
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
    values = _placeholders(
        sizes,
        output,
        dtype,
        blas=blas,
        by_rows=by_rows,
        sparse=weights is not None,
        checked=assumptions,
    )
    values["reference"] = indented(reference_lines(reference, tuple(parameters)), 4)
    values |= second_order(programs.get("hvp"), gradient_reference, tuple(parameters))
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
        values["products"] = "\n\n".join(
            fill(f"unit_{name}", {}) for name in product_functions(unified, layout)
        )
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
    values["hash"] = _UNKNOWN_HASH
    values["inlined"] = "" if optimizer.recipe.is_plain else _INLINED
    values["place_own"] = f"{' ' * 4}_place_products()\n" if blas else ""
    values["place_products"] = f"_place_products()\n{' ' * 4}" if blas else ""
    values |= _kernel_calls(sizes[0], sizes[-1], by_rows, values)
    if shards:
        values |= shards_placeholders(values, parameters, weights.name if weights else None)
    values = filled_in_turn(values)
    values["own_room"] = f",\n{' ' * 12}*_training_room(size, X.shape[0], test_X.shape[0])"
    values["train_is_given"], values["compile_and_train"] = "training = ", _COMPILE_AND_TRAIN
    values["work"] = fill("work_of_one" if lanes else "work_of_team", values)
    values["members"] = "1" if lanes else "members"
    values["members_by_itself"] = (
        "1" if lanes else "_members(None, min(batch, samples), epochs, samples)"
    )
    values["draw_order"] = indented(_DRAW_ORDER, 4)
    values["threads_text"] = _ONE_THREAD if lanes else _THREADS
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
        "" if lanes else fill("apart", values),
        fill("products", values) if blas else "",
        "# ------------------------------------------------------------------ kernels\n",
        "" if optimizer.recipe.is_plain else optimizer_functions(optimizer, lanes=lanes),
        *_kernels(unified, layout if lanes else None, changing),
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


def _kernels(
    programs: Mapping[str, KernelProgram], layout: Layout | None, changing: Change | None
) -> list[str]:
    if layout is not None:
        return [block_source(program, layout) + "\n" for program in programs.values()]
    return [_kernel(program, changing) for program in programs.values()]


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
        "change": indented(folded, 4) if optimizer.rate else lane_change(optimizer),
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
    lines = ["import gc", "import inspect", "import itertools", "import math", "import sys"]
    lines += ["from concurrent.futures import ThreadPoolExecutor, wait"]
    lines += ["from contextlib import contextmanager" + (", nullcontext" if team else "")]
    third = [
        "import numpy as np",
        "from llvmlite import ir",
        "from numba import njit, typeof, types",
        "from numba.core import cgutils",
        "from numba.core.codegen import JITCodeLibrary",
        "from numba.core.compiler import CompilerBase, DefaultPassBuilder",
        "from numba.core.typed_passes import IRLegalization, NopythonRewrites",
        "from numba.core.untyped_passes import InlineClosureLikes",
        "from numba.extending import intrinsic, register_jitable",
    ]
    if vectors:
        lines.append("import operator")
        overload = "overload, " if units else ""
        third[-1:] = [
            "from numba.core.typing import signature, templates",
            f"from numba.extending import intrinsic, lower_builtin, models, {overload}"
            "register_jitable, register_model",
        ]
    if team:
        lines += ["import ctypes", "import os", "import threading"]
        lines += ["from functools import cache", "from pathlib import Path"]
        third += ["import llvmlite.binding"]
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
            lines.append(f"{name} = _by_lane({2 if name == 'pow' else 1}, {FROM_MATH[name]})")
    if not needed and not lines:
        return ""
    bounded = [function.name for function in needed if function.is_bounded]
    if lanes and bounded:
        lines += [f"library_{name} = _by_lane(1, math.{name})" for name in bounded]
        lines.append(lane_functions.ANY_LANE)
    title = f"# {'-' * 66} elementary functions\n"
    sources = [lane_functions.lane_source(f) if lanes else f.source for f in needed]
    fused = [lane_functions.FMA if lanes else FMA] if needed else []
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


def _placeholders(
    sizes: tuple[int, ...],
    output: str,
    dtype: str,
    *,
    blas: bool,
    by_rows: bool,
    sparse: bool,
    checked: tuple[str, ...],
) -> dict[str, str]:
    n_in, n_out = sizes[0], sizes[-1]
    samples = "0 if is_sparse else n" if sparse else "n"
    one_hot = ONE_HOT in checked
    gather_by_rows = [
        f"ahead = order[min(first + ${{shard_begin}}i + {_AHEAD}, order.size - 1)]",
        "for line in range(0, data.strides[0], 64):",
        "    _prefetch(data.ctypes.data + ahead * data.strides[0] + line)",
        f"for m in range({n_in}):",
        "    X[i, m] = data[sample, m]",
    ]
    if sparse:
        gather_by_rows = ["if X.size:", *(f"    {line}" for line in gather_by_rows)]
    gather_by_columns = [f"for m in range({n_in}):", "    X[m, i] = data[sample, m]"]
    padding = (
        "The batch is as long as the samples that it holds."
        if blas
        else "What pads the batch repeats its last sample, with weight 0."
    )
    return {
        "n_in": str(n_in),
        "n_out": str(n_out),
        "n_in_out": str(n_in + n_out),
        "gemm": "sgemm" if dtype == "float32" else "dgemm",
        "numba_type": f"types.{dtype}",
        "bits": dtype.removeprefix("float"),
        "padded": "n" if blas else "-(-n // LANES) * LANES",
        "gather_padding": padding,
        "gather_x": indented(gather_by_rows if by_rows else gather_by_columns, 8),
        "prefetch": _PREFETCH,
        "ahead": str(_AHEAD),
        "x_shape": f"({samples}, {n_in})" if by_rows else f"({n_in}, {samples})",
        "held": "_one_blas_thread()" if blas else "nullcontext()",
        "with_blas": "with _one_blas_thread():\n            " if blas else "",
        "count_hits": indented(_hit_lines(n_out, output), 8),
        "check_rows": "    _rows_sum_to_one(y_name, Y)" if one_hot else "",
        "rows_function": ROWS_SUM_TO_ONE if one_hot else "",
        "if_one_hot": ", or a row of Y does not sum to 1" if one_hot else "",
        "tolerance": "2e-3" if dtype == "float32" else "1e-6",
    }


def _kernel_calls(
    n_in: int, n_out: int, by_rows: bool, values: Mapping[str, str]
) -> dict[str, str]:
    """Return how the interface calls the kernels, whose arrays are stored samples last."""
    written = {
        "N_IN": str(n_in),
        "N_OUT": str(n_out),
        "STORED": "X" if by_rows else "_batch_last(X, n)",
        ", NO_NONZEROS": values["no_nonzeros"],
        "PLACE": values["place_products"],
    }
    calls = dict(_CALLS)
    for name, value in written.items():
        calls = {call: text.replace(name, value) for call, text in calls.items()}
    return calls


_COMPILE_AND_TRAIN = """
        if not _train.overloads:
            _compile(_train, training)
        _train(*training)"""

_DRAW_ORDER = [
    "order = np.zeros(samples, np.int64)",
    "_write_order(order, seed, epoch % 2**63)",
    "return order",
]

_CALLS = {
    "call_forward": """\
    n = _padded(count)
    P = np.zeros((N_OUT, n), DTYPE)
    _forward(values, _stored(X, n), P, _forward_work(n))
    return np.ascontiguousarray(P[:, :count].T)""",
    "call_loss": """\
    n = w.size
    P = np.zeros((N_OUT, n), DTYPE)
    PLACEreturn float(_loss(values, X, Y, w, P, _loss_work(n), NO_NONZEROS))""",
    "call_gradients": """\
    gradients = {name: np.zeros(shape, DTYPE) for name, shape in PARAMETERS.items()}
    value = _gradients(values, X, Y, w, *gradients.values(), _gradients_work(w.size))
    return float(value), gradients""",
    "call_vjp": """\
    dX = np.zeros((N_IN, count), DTYPE)
    cotangent = _batch_last(dP, count)
    _vjp(values, _stored(X, count), cotangent, dX, *gradients.values(), _vjp_work(count))
    return np.ascontiguousarray(dX.T), gradients""",
    "store_samples": '''\
    return _stored(X, count), _batch_last(Y, count), w


def _batch_last(array, n):
    """Return (B, k) as (k, n); what pads the batch repeats its last sample."""
    stored = np.empty((array.shape[1], n), DTYPE)
    stored[:, : array.shape[0]] = array.T
    stored[:, array.shape[0] :] = array[-1][:, None]
    return stored


def _stored(X, n):
    """Return the inputs as the kernels store them."""
    return STORED''',
}
_CALL_HVP = """\
    products = {name: np.zeros(shape, DTYPE) for name, shape in PARAMETERS.items()}
    _hvp(values, INPUTS, *products.values(), _hvp_work(w.size))
    return products"""

_AHEAD = 2  # samples; 1 and 4 were slower on MNIST

# Samples come from memory in random order: fetching 100 rows of MNIST takes a fifth of a step,
# and a quarter less where the next rows are on their way already.
_PREFETCH = '''\
@intrinsic
def _prefetch(typing_context, address):
    """Ask for a line of memory that will be read soon."""

    def build(context, builder, signature, arguments):
        pointer, flag = cgutils.voidptr_t, ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), kind)
        place = builder.inttoptr(arguments[0], pointer)
        to_read, keep, data = (ir.Constant(flag, value) for value in (0, 3, 1))
        builder.call(function, [place, to_read, keep, data])
        return context.get_dummy_value()

    return types.void(types.intp), build


'''
_ONE_THREAD = "This network's steps are too small to share: it is trained by one thread."
_THREADS = (
    "How many share each step; by default what affinity and quota allow, and one where a\n"
    "        step is too small to share. For the same number results are the same bit by bit."
)


def _hit_lines(n_out: int, output: str) -> list[str]:
    if n_out == 1:
        threshold = "T(0)" if output == "identity" else "T(0.5)"
        return [f"hits += (P[0, i] > {threshold}) == (Y[0, i] > T(0.5)) and P[0, i] == P[0, i]"]
    return [
        "largest = 0",
        "target = 0",
        "known = P[0, i] == P[0, i]  # NaN is no hit",
        f"for k in range(1, {n_out}):",
        "    known = known and P[k, i] == P[k, i]",
        "    if P[k, i] > P[largest, i]:",
        "        largest = k",
        "    if Y[k, i] > Y[target, i]:",
        "        target = k",
        "hits += known and largest == target",
    ]


def second_order(
    hvp: KernelProgram | None, gradient: KernelProgram | None, parameters: tuple[str, ...]
) -> dict[str, str]:
    """Return how `hvp` calls its kernel, and how the self-check tries it; nothing without it."""
    if hvp is None or gradient is None:
        return {"check_hvp": "", "hvp_is_finite": ""}
    read = kernel_inputs(hvp)
    given = [name for name in read if name in ("X", "Y", "w")]
    along = [f"along[{n}]" for n, name in enumerate(parameters) if f"v{name}" in read]
    given += ["*along"] if len(along) == len(parameters) else along
    names = zip(parameters, gradient.outputs, strict=True)
    results = ", ".join(f'"{name}": {grad}' for name, grad in names)
    return {
        "call_hvp": _CALL_HVP.replace("INPUTS, ", "".join(f"{name}, " for name in given)),
        "gradient_reference": indented(reference_lines(gradient, parameters), 4),
        "reference_gradients": f"{{{results}}}",
        "check_hvp": "    right = _check_hvp(params, X, Y) and right\n",
        "hvp_is_finite": (
            "    products = hvp(large, scale * X64, Y, exact)\n"
            "    finite = finite and all(np.isfinite(h).all() for h in products.values())\n"
        ),
    }
