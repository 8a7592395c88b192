"""Kernels allocate nothing: Numba compiles them without reference counts, and would refuse."""

import ast

import pytest

import codegen
from derive.spec import parse_spec

KERNELS = {"_jit", "_kernel", "_entry", "_sum", "_inlined"}
ALLOCATES = {
    "arange", "array", "asarray", "astype", "concatenate", "copy", "empty", "empty_like", "flatten",
    "full", "ones", "ravel", "stack", "zeros", "zeros_like",
}  # fmt: skip


def decorators(function: ast.FunctionDef) -> set[str]:
    return {ast.unparse(one).partition("(")[0] for one in function.decorator_list}


def allocations(text: str) -> list[str]:
    """Return where a function that Numba compiles asks for memory."""
    return [
        f"{function.name}: {ast.unparse(node)}"
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef) and decorators(function) & {*KERNELS, "njit"}
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ALLOCATES
    ]


MODULES = [
    (network, optimizer, more)
    for network in ("2-10-2", "784-100-10")
    for optimizer in ("sgd", "momentum", "adam", "adam-sklearn")
    for more in ("", "penalty", "hvp", *(["shards"] if network == "784-100-10" else []))
]


@pytest.mark.sweep
@pytest.mark.parametrize(("network", "optimizer", "more"), MODULES)
def test_no_kernel_allocates(network: str, optimizer: str, more: str) -> None:
    made = codegen.generate(
        parse_spec(network), optimizer=optimizer, **{name: True for name in [more] if name}
    )
    assert len(made.text) > 10_000
    assert allocations(made.text) == []


def test_an_allocation_is_seen() -> None:
    text = "@_entry\ndef _train(steps):\n    own = (steps[0].copy(),)\n"
    assert allocations(text) == ["_train: steps[0].copy()"]
    assert allocations(text.replace("_entry", "cache")) == []


def test_a_wide_network_with_adam_compiles() -> None:
    module = codegen.compile_module(codegen.generate(parse_spec("40-60-2"), optimizer="adam"))
    params = module.init_params(0)
    X = module.np.ones((40, 40), module.T)
    Y = module.np.eye(2, dtype=module.T)[[0, 1] * 20]
    state: dict[str, object] = {}
    for threads in (1, 2):
        module.train(params, X, Y, epochs=3, batch=10, eta=0.01, threads=threads, state=state)
        assert float(state["step"]) == 12 * threads
