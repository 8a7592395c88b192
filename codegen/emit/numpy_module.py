"""The emitted module in plain NumPy: the same interface, formulas and runs, made to be read.

The lines of each function are printed from the derived programme, one a statement, its
formula above it: a matrix product is ``@``, arrays hold one sample a row. Nothing is fused,
and nothing is compiled. What checks the arrays, trains and reports is the text that the
module for Numba has too.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace

from codegen.emit.module_placeholders import second_order_placeholders
from codegen.emit.numpy_functions import erf_source
from codegen.emit.numpy_optimizer import numpy_placeholders
from codegen.emit.optimizer_interface import state_constant
from codegen.emit.pieces import (
    ROWS_SUM_TO_ONE,
    constants,
    docstring,
    fill,
    indented,
    reference_lines,
    tidy,
)
from codegen.emit.statements import needed, statement_value
from codegen.emit.values import text
from codegen.kernel import KernelProgram, Load, Update
from codegen.optimizer_programs import Optimizer
from derive.printing import shape_text, statement_text
from derive.program import BATCH as BATCH_SIZE
from derive.program import ONE_HOT, Program, Statement


def numpy_source(
    *,
    header: str,
    spec: str,
    objective: Mapping[str, object],
    sizes: tuple[int, ...],
    output: str,
    parameters: Mapping[str, tuple[int, ...]],
    gradient: Program,
    pullback: Program,
    second: Program | None,
    programs: Mapping[str, KernelProgram],
    optimizer: Optimizer,
) -> str:
    """Return the module's text; the same for the same input.

    Parameters
    ----------
    header
        The module's docstring.
    spec, objective, sizes, output, parameters
        What the module says of its network, as for `codegen.emit.module.module_source`.
    gradient, pullback, second
        The programmes of loss and gradients, of the vector-Jacobian product, and of the
        Hessian-vector product or None, in sound forms and with the samples' weights ``w``.
    programs
        The kernel programmes before any pass: the self-check computes by these, and the
        parameters are changed as those of ``step`` are.
    optimizer
        What the module trains with.
    """
    names = tuple(parameters)
    gradients = tuple(gradient.gradients[name] for name in names)
    loss = programs["loss"]
    one_hot = ONE_HOT in gradient.assumptions
    kernels = [
        function_text("_forward", "the output P of every sample", gradient, ("P",), names, ("X",)),
        function_text(
            "_loss", "the loss: w holds a share for each sample", gradient, ("loss",), names, _BATCH
        ),
        function_text(
            "_gradients", "the gradient in each parameter", gradient, gradients, names, _BATCH
        ),
        function_text(
            "_vjp",
            "dP pulled back to the inputs and the parameters",
            pullback,
            ("dX", *(pullback.gradients[name] for name in names)),
            names,
            ("X", "dP"),
        ),
    ]
    if second is not None:
        products = tuple(second.hessian_products[name] for name in names)
        kernels.append(
            function_text(
                "_hvp", "the Hessian times a direction", second, products, names, (*_BATCH, "along")
            )
        )
    n_in, n_out = sizes[0], sizes[-1]
    changes = numpy_placeholders(
        optimizer,
        [
            f"{_listed(names)} = params",
            f"{_listed(gradients)} = _gradients(params, X, Y, w)",
            *_update_lines(programs["step"]),
        ],
    )
    values = changes | {
        "n_in": str(n_in),
        "n_out": str(n_out),
        "check_rows": "    _rows_sum_to_one(y_name, Y)" if one_hot else "",
        "rows_function": ROWS_SUM_TO_ONE if one_hot else "",
        "if_one_hot": ", or a row of Y does not sum to 1" if one_hot else "",
        "tolerance": "2e-3" if loss.dtype == "float32" else "1e-6",
        "with_blas": "",
        "raise_failure": "",
        "threads_text": "One here; NumPy's own products may take more.",
        "members": "1",
        "members_by_itself": "1",
        "draw_order": "    return _shuffled(samples, seed, epoch % 2**63)",
        "work": fill("work_of_one", changes | _AT_ONCE),
        "sparse_text": "This module multiplies by every input, whatever is asked for.",
        "rows_text": "",
        "inputs": "",
        "hits": _hits(n_out, output),
        "reference": indented(reference_lines(loss, names), 4),
        **_CALLS,
    }
    reference = replace(programs["gradients"], outputs=gradients)
    values |= second_order_placeholders(programs.get("hvp"), reference, names) | {
        "call_hvp": _CALL_HVP
    }
    has_erf = any("_erf(" in kernel for kernel in kernels)
    sections = [
        docstring(header),
        _IMPORTS,
        constants(
            spec,
            objective,
            sizes,
            parameters,
            loss.dtype,
            state_constant(optimizer, parameters),
        ),
        _KERNELS,
        erf_source(loss.dtype) if has_erf else "",
        *kernels,
        fill("numpy_training", values),
        fill("interface", values),
        "" if optimizer.recipe.is_plain else fill("optimizer", values),
        fill("second_order", values) if second is not None else "",
        fill("self_check", values),
    ]
    return tidy("\n".join(section for section in sections if section))


_BATCH = ("X", "Y", "w")

_IMPORTS = """\
import itertools
import math
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
"""

_KERNELS = """\
# ------------------------------------------------------------------ formulas

# Arrays hold one sample a row. Of what belongs to a sample, such as w, there is a column (B, 1),
# and biases are vectors (n,): NumPy repeats both where they meet a matrix. Overflow to inf and
# the NaN of inf - inf are values like others, and no reason to warn.
_quiet = np.errstate(all="ignore")

"""

_AT_ONCE = {"train_is_given": "_train", "compile_and_train": "", "own_room": ""}

_CALLS = {
    "call_forward": "    return np.asarray(_forward(values, X), DTYPE)",
    "call_loss": "    return float(_loss(values, X, Y, w))",
    "call_gradients": """\
    found = _gradients(values, X, Y, w)
    gradients = {
        name: np.asarray(value, DTYPE) for name, value in zip(PARAMETERS, found, strict=True)
    }
    return float(_loss(values, X, Y, w)), gradients""",
    "call_vjp": """\
    dX, *found = _vjp(values, X, dP)
    for name, value in zip(PARAMETERS, found, strict=True):
        gradients[name][...] = value
    return np.asarray(dX, DTYPE), gradients""",
    "store_samples": "    return X, Y, w[:, None]",
}
_CALL_HVP = """\
    products = zip(PARAMETERS, _hvp(values, X, Y, w, along), strict=True)
    return {name: np.asarray(value, DTYPE) for name, value in products}"""


def function_text(
    name: str,
    what: str,
    program: Program,
    wanted: tuple[str, ...],
    parameters: tuple[str, ...],
    arguments: tuple[str, ...],
    sizes: Mapping[str, str] | None = None,
) -> str:
    """Return a function of the parameters that computes some tensors, a line a statement.

    `sizes` says where the sizes that are names come from.
    """
    statements = needed(program, set(wanted))
    lines = _statement_lines(program, statements)
    read = {n for statement in statements for n in statement.reads()}
    head = [f"{_listed(parameters)} = params"] if read & set(parameters) else []
    tangents = [f"v{parameter}" for parameter in parameters]
    if read & set(tangents):
        head.append(f"{_listed(tangents)} = along")
    for extent, value in ({"B": "X.shape[0]"} | dict(sizes or {})).items():
        if any(re.search(rf"\b{extent}\b", line) for line in lines if not line.startswith("#")):
            head.append(f"{extent} = {value}")
    body = [f'"""Return {what}."""', *head, *lines, f"return {', '.join(wanted)}"]
    return "\n".join(
        ["@_quiet", f"def {name}(params, {', '.join(arguments)}):", indented(body, 4), "\n"]
    )


def _statement_lines(program: Program, statements: Iterable[Statement]) -> list[str]:
    tensors = program.tensors()
    shapes = {name: tuple(map(str, tensor.shape)) for name, tensor in tensors.items()}
    vectors = {
        name for name, shape in shapes.items() if len(shape) == 1 and shape[0] != str(BATCH_SIZE)
    }
    lines = []
    for statement in statements:
        value = statement_value(
            statement, shapes=shapes, place=lambda name: name, vectors=vectors, zero_log=False
        )
        formula = statement_text(statement, form="matrix")
        lines.append(f"# {formula}    {shape_text(statement.target.shape)}")
        lines += _folded(f"{statement.name} = {value}")
    return lines


def _folded(line: str) -> list[str]:
    """Return a statement on lines that are not too long, in brackets if it takes several."""
    if len(line) <= _WIDTH - 4:
        return [line]
    target, value = line.split(" = ", 1)
    parts = textwrap.wrap(value, _WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return [f"{target} = (", *(f"    {part}" for part in parts), ")"]


_WIDTH = 100


def _update_lines(step: KernelProgram) -> list[str]:
    """Return how each parameter is changed."""
    lines = []
    for node in step.nodes:
        if isinstance(node, Update):
            lines += [f"# {formula}" for formula in node.origin]
            rate = text(node.rate, _no_entry)
            lines.append(f"{node.parameter} -= {rate} * {node.gradient}")
    return lines


def _no_entry(load: Load) -> str:
    return load.buffer


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return f"({listed[0]},)" if len(listed) == 1 else ", ".join(listed)


def _hits(n_out: int, output: str) -> str:
    if n_out == 1:
        threshold = "0" if output == "identity" else "0.5"
        right = f"(P[:, 0] > {threshold}) == (Y[:, 0] > 0.5)"
        return f"return ({right}) & (P[:, 0] == P[:, 0])"
    return "return (P.argmax(axis=1) == Y.argmax(axis=1)) & (P == P).all(axis=1)"
