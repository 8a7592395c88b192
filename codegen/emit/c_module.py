"""The network in C99: a source file and its header, which need the C library alone.

The kernels are those of the same kernel programmes that Numba gets, after the passes of
`codegen.passes.LANES_PIPELINE`. Those of a small network keep a block of samples in
registers (`codegen.emit.c_blocks`); those of a larger one are loops over a chunk of samples
(`codegen.emit.c_loops`).
"""

import re
from collections.abc import Mapping
from itertools import accumulate
from math import prod

from codegen.emit.block_kernels import layout_of
from codegen.emit.block_layout import Layout
from codegen.emit.c_blocks import CBlockKernel
from codegen.emit.c_functions import function_sources, literal
from codegen.emit.c_loops import CHUNK, Space, chunk_function, work_space
from codegen.emit.c_optimizer import values_of_step
from codegen.emit.c_optimizer_interface import c_placeholders, copied, main_eta
from codegen.emit.c_unit_lanes import CUnitKernel, between_macros, copy_functions
from codegen.emit.c_values import functions
from codegen.emit.pieces import fill, tidy
from codegen.kernel import Elementwise, KernelProgram, Reduce, Update
from codegen.optimizer_programs import Optimizer
from derive.program import ONE_HOT

_BLOCK_CHUNK = 256  # samples that a small network gathers at a time
_CALLS = ("forward", "loss", "gradients", "step")
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union unsigned
void volatile while main
""".split()  # noqa: SIM905  # a list of strings would take ten lines


def is_prefix(name: str) -> bool:
    """Whether a name can begin the names of a C file."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and name not in _KEYWORDS


def c_source(
    *,
    prefix: str,
    header: str,
    sizes: tuple[int, ...],
    output: str,
    parameters: Mapping[str, tuple[int, ...]],
    programs: Mapping[str, KernelProgram],
    assumptions: tuple[str, ...],
    optimizer: Optimizer,
    gradients: Mapping[str, str],
    lanes: bool,
) -> tuple[str, str]:
    """Return the text of the source file and of its header.

    Parameters
    ----------
    prefix
        What every public name begins with: a C identifier.
    header
        What the header says of the network.
    sizes, output, parameters
        The network's sizes, its last activation, and the shape of each parameter.
    programs
        The kernel programmes ``forward``, ``loss``, ``gradients`` and ``step``, after the
        passes.
    assumptions
        What the kernels take for granted about the targets.
    optimizer
        What the module trains with.
    gradients
        Name of each parameter's gradient.
    lanes
        Whether kernels are those of vectors, and their programmes so.
    """
    dtype = programs["forward"].dtype
    updates = [node for node in programs["step"].nodes if isinstance(node, Update)]
    one_hot = ONE_HOT in assumptions
    layout = layout_of(programs, parameters, gradients) if lanes else None
    turned = bool(layout and layout.by_columns)
    values = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "T": "float" if dtype == "float32" else "double",
        "header": _comment(header),
        "n_in": str(sizes[0]),
        "n_out": str(sizes[-1]),
        "parameters": ", ".join(parameters),
        "offsets": _offsets(prefix.upper(), parameters),
        "entries": str(sum(map(prod, parameters.values()))),
        "where_checked": "" if one_hot else ": not asked for by this loss",
        "if_one_hot": ", and where a row of y does not sum to 1" if one_hot else "",
        "chunk": str(_BLOCK_CHUNK if lanes else CHUNK),
        **c_placeholders(
            optimizer, prefix, [formula for u in updates for formula in u.origin], turned=turned
        ),
        **_copies(layout),
        **_vector_values(dtype),
        **_row_values(prefix.upper(), one_hot=one_hot),
    }
    if layout:
        kind = CUnitKernel if layout.units_in_lanes else CBlockKernel
        kernels = [kind(programs[name], layout).source() for name in _CALLS]
        values |= _sums(layout)
        values |= _steps(layout)
    else:
        starts = accumulate(map(prod, parameters.values()), initial=0)
        first = dict(zip(parameters, starts, strict=False))
        of_parameter = {gradient: name for name, gradient in gradients.items()}
        kernels = [chunk_function(programs[name], first, of_parameter) for name in _CALLS]
        spaces = [work_space(programs[name], of_parameter) for name in _CALLS]
        work = Space(
            rows=max(space.rows for space in spaces)
            + sizes[-1],  # the output of forward lies before
            numbers=max(space.numbers for space in spaces),
        )
        values["work"] = str(work)
    values |= {
        f"{name}_arguments": ", ".join(_passed(kernel))
        for name, kernel in zip(_CALLS, kernels, strict=True)
    }
    called = sorted(
        {f for name in _CALLS for f in _functions(programs[name])}.union(
            *map(functions, values_of_step(optimizer))
        )
    )
    sections = [
        fill("c_begin", values),
        fill("c_support", values),
        _FUNCTIONS if called else "",
        *function_sources(called, dtype),
        "" if lanes else fill("c_products", values),
        fill("c_unit_lanes", values) if layout and layout.units_in_lanes else "",
        _KERNELS,
        *kernels,
        fill("c_output", values),
        fill("c_blocks" if lanes else "c_chunks", values),
        fill("c_interface", values),
    ]
    if sizes[0] == _PLANE and sizes[-1] <= _RINGS:
        main = _main_values(sizes, output, parameters, dtype, main_eta(optimizer))
        sections.append(fill("c_main", values | main))
    return tidy("\n".join(part for part in sections if part)), tidy(fill("c_header", values))


_PLANE = _RINGS = 2
_FUNCTIONS = f"/* {'-' * 66} elementary functions */\n"
_KERNELS = f"/* {'-' * 66} kernels */\n"


def _comment(text: str) -> str:
    safe = text.replace("*/", "* /").replace("/*", "/ *")
    return "\n".join([(" * " + line).rstrip() for line in safe.split("\n")]).removeprefix(" * ")


def _offsets(prefix: str, parameters: Mapping[str, tuple[int, ...]]) -> str:
    lines, start = [], 0
    for name, shape in parameters.items():
        lines.append(f"    {prefix}_{name} = {start}, /* ({', '.join(map(str, shape))}) */")
        start += prod(shape)
    return "\n".join(lines)


def _passed(kernel: str) -> list[str]:
    """Return the names of a function's parameters: who calls it has the same names for them."""
    found = re.search(r"^static [^(]*\(([^{]*)\)\n\{$", kernel, re.MULTILINE)
    assert found is not None
    return [parameter.split()[-1].lstrip("*") for parameter in found[1].split(",")]


def _functions(program: KernelProgram) -> set[str]:
    found: set[str] = set()
    for node in program.nodes:
        match node:
            case Elementwise(stores=stores):
                found = found.union(*(functions(store.value) for store in stores))
            case Reduce(value=value):
                found |= functions(value)
            case _:
                pass
    return found


def _vector_values(dtype: str) -> dict[str, str]:
    bits = int(dtype.removeprefix("float"))
    sign = 1 << (bits - 1)
    widths = [size * 8 // bits for size in (64, 32, 16)]  # lanes in a register
    pairs = [1 << n for n in range(widths[0].bit_length() - 1)]
    lines = []
    for number, distance in enumerate(pairs):
        lines += [
            f"#if LANES > {distance}",
            f"    for (int s = 0; s < LANES / {2 << number}; s++)",
            f"        sum[s] = PAIR_{distance}(sum[2 * s], sum[2 * s + 1]);",
            "#endif",
        ]
    return {
        "fma": "fmaf" if bits == 32 else "fma",
        "FMA": "FMAF" if bits == 32 else "FMA",
        "word": f"uint{bits}_t",
        "signed_word": f"int{bits}_t",
        "magnitude": f"0x{sign - 1:X}",
        "sign": f"0x{sign:X}",
        "lanes_64": str(widths[0]),
        "lanes_32": str(widths[1]),
        "lanes_16": str(widths[2]),
        "pairs": "\n".join(lines),
        "pair_macros": "\n".join(_pair_macros(widths)),
        "between_macros": between_macros(widths),
    }


def _copies(layout: Layout | None) -> dict[str, str]:
    """Return how parameters and gradients come to a room and back."""
    columns = layout.by_columns if layout else frozenset()
    turned, size = bool(columns), "ENTRIES * sizeof(T)"
    return {
        "copy_functions": copy_functions(layout.parameters, columns) + "\n"
        if layout and columns
        else "",
        "take_params": copied("room->params", "params", size, to_caller=False, turned=turned),
        "give_params": copied("room.params", "params", size, to_caller=True, turned=turned),
        "give_grads": copied("room.grads", "grads", size, to_caller=True, turned=turned),
    }


def _steps(layout: Layout) -> dict[str, str]:
    """Return how the inputs of a block lie: sample after sample where units are in lanes."""
    if layout.units_in_lanes:
        inputs = str(layout.inputs["X"])
        steps = {"input_step": "1", "sample_step": inputs}
        return {**steps, "block_inputs": "their inputs one after another"}
    return {"input_step": "LANES", "sample_step": "1", "block_inputs": "for each input a vector"}


def _sums(layout: Layout) -> dict[str, str]:
    """Return how what sums over samples is left, and added up."""
    if layout.units_in_lanes:
        return {
            "sums_rows": "0 /* kernels add to the gradients themselves */",
            "add_sums_function": "",
            "add_sums": "",
            "unused_sums": ", (void)sums",
        }
    return {
        "sums_rows": "PARAMETERS /* a vector for each entry of a parameter */",
        "add_sums_function": _ADD_SUMS,
        "add_sums": "        add_sums(sums, here, grads);\n",
        "unused_sums": "",
    }


_ADD_SUMS = """\
/* Add the sums over a block of samples, LANES entries at a time. */
PRIVATE void add_sums(lanes *sums, size_t here, lanes *grads)
{
    for (size_t p = 0; p < PARAMETERS / LANES; p++)
        grads[p] += v_sums(sums + p * LANES, here);
}

"""


def _pair_macros(widths: list[int]) -> list[str]:
    """Return, for each number of lanes, how two vectors are added across each distance."""
    lines = []
    for number, count in enumerate(widths):
        lines.append(f"#{'el' * bool(number)}if LANES == {count}")
        lines.append(f"#define LANE_NUMBERS {', '.join(map(str, range(count)))}")
        distance = 1
        while distance < count:
            of_a = [lane & distance == 0 for lane in range(count)]
            straight = [lane + (0 if a else count) for lane, a in enumerate(of_a)]
            crossed = [(lane ^ distance) + (0 if a else count) for lane, a in enumerate(of_a)]
            lists = [", ".join(map(str, places)) for places in (straight, crossed)]
            lines += [
                f"#define PAIR_{distance}(a, b) \\",
                f"    (SHUFFLE(a, b, {lists[0]}) + \\",
                f"     SHUFFLE(a, b, {lists[1]}))",
            ]
            distance *= 2
    return [*lines, "#endif"]


def _row_values(prefix: str, *, one_hot: bool) -> dict[str, str]:
    if not one_hot:
        return {"rows_function": "", "refuse_rows": "", "refuse_training": ""}
    return {
        "rows_function": _ROWS_SUM_TO_ONE,
        "refuse_rows": "!rows_sum_to_one(y, b) || ",
        "refuse_training": (
            f"    if (!rows_sum_to_one(y, m))\n        return {prefix}_BAD_TARGET;\n"
        ),
    }


_ROWS_SUM_TO_ONE = """
/* Check what the derivation takes for granted: every row of y sums to 1. */
static int rows_sum_to_one(const T *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double total = 0;
        for (size_t k = 0; k < OUTPUTS; k++)
            total += (double)y[i * OUTPUTS + k];
        if (!(fabs(total - 1) <= 1e-6))
            return 0;
    }
    return 1;
}
"""


def _main_values(
    sizes: tuple[int, ...],
    output: str,
    parameters: Mapping[str, tuple[int, ...]],
    dtype: str,
    eta: float,
) -> dict[str, str]:
    if sizes[-1] == 1:
        threshold = "0" if output == "identity" else "(T)0.5"
        target = "        y[i] = is_inner ? 1 : 0;"
        hit = f"(p[i] > {threshold}) == (y[i] > (T)0.5)"
    else:
        target = "        y[2 * i] = is_inner ? 0 : 1;\n        y[2 * i + 1] = is_inner ? 1 : 0;"
        hit = "(p[2 * i + 1] > p[2 * i]) == (y[2 * i + 1] > y[2 * i])"
    lines, start = [], 0
    for name, shape in parameters.items():
        if name.startswith("W"):
            lines += [
                f"    for (int i = 0; i < {prod(shape)}; i++) /* {name}; biases are 0 */",
                f"        params[{start} + i] = (T)(0.3 * normal(&state));",
            ]
        start += prod(shape)
    return {
        "draw_target": target,
        "hit": hit,
        "draw_weights": "\n".join(lines),
        "eta": literal(eta, "float32" if dtype == "float32" else "float64"),
    }
