"""What the answers of `init_params` say of a file's network: keys, shapes, sizes, dtype."""

import ast
from collections.abc import Mapping

from runtime.grading.answers import Call, Interview, shapes_of
from runtime.grading.problem import Layout, find_layout, layout_from_keys
from runtime.grading.reference import size_names
from runtime.grading.values import Given

_FLOATS = ("float32", "float64", "float16", "bfloat16")


def layout_of(call: Call, inputs: int | None) -> Layout | None:
    """Return the layout of the parameters that a call returned, if they make a network."""
    shapes = shapes_of(call.value)
    return find_layout(shapes, inputs) if shapes else None


def sizes_of_value(call: Call, layout: Layout, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes that the parameters themselves have."""
    shapes = shapes_of(call.value)
    ends = [tuple(shapes[key])[:: 1 if layout.turned else -1] for key in layout.weights]
    values = [ends[0][0], *(end[1] for end in ends)]
    return {"B": sizes["B"], **dict(zip(size_names(layout.depth), values, strict=True))}


def settle(found: Interview, *, no_sizes: bool) -> None:
    """Note in an interview what the first answer says.

    Parameters
    ----------
    found
        The interview; the first of its `initial` counts.
    no_sizes
        Whether the function takes no sizes, so that the file has sizes of its own.
    """
    assert found.initial
    sizes, call = found.initial[0]
    if isinstance(call.value, dict):
        arrays = [entry for entry in call.value.values() if isinstance(entry, Given)]
        if arrays:
            found.kind = arrays[0].kind
            dtypes = [a.dtype for a in arrays if a.dtype in _FLOATS]
            found.dtype = dtypes[0] if dtypes else "float64"
    layout = layout_of(call, None if no_sizes else sizes.get("nx"))
    if layout is None:
        shapes = shapes_of(call.value)
        if shapes and len([k for k in shapes if k[:1] in "Ww"]) > 1:
            found.layout = layout_from_keys(list(shapes))
        return
    # a bias that the file reads, but that its init_params does not make
    others = [f for name, f in found.selection.functions.items() if name != "init_params"]
    named = [n.value for f in others for n in ast.walk(f) if isinstance(n, ast.Constant)]
    biases = [
        bias or (key if (key := f"b{weight[1:]}") in named else "")
        for weight, bias in zip(layout.weights, layout.biases, strict=True)
    ]
    found.layout = Layout(weights=layout.weights, biases=tuple(biases))
    if no_sizes:
        fixed = sizes_of_value(call, layout, sizes)
        if fixed["ny"] >= 2 and max(fixed.values()) <= 2_000:
            found.fixed = fixed
    if not layout.is_lab:
        found.own_layout = layout
