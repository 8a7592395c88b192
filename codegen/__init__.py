"""From derived formulas to compiled kernels.

    source = codegen.generate("2-10-2")
    module = codegen.compile_module(source)
    module.train(module.init_params(), X, Y, epochs=150, batch=10, eta=0.03)

The names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.compile import compile_module, keep_compiled
    from codegen.generation import generate
    from codegen.interpreter import interpret
    from codegen.kept import generate_any_size_or_recall, generate_or_recall
    from codegen.kernel import KernelProgram
    from codegen.lowering import lower
    from codegen.passes import PIPELINE, run_passes
    from codegen.source import GeneratedSource

__all__ = [
    "PIPELINE",
    "GeneratedSource",
    "KernelProgram",
    "compile_module",
    "generate",
    "generate_any_size_or_recall",
    "generate_or_recall",
    "interpret",
    "keep_compiled",
    "lower",
    "run_passes",
]

_HOMES = {
    "compile_module": "codegen.compile",
    "keep_compiled": "codegen.compile",
    "GeneratedSource": "codegen.source",
    "generate": "codegen.generation",
    "interpret": "codegen.interpreter",
    "generate_any_size_or_recall": "codegen.kept",
    "generate_or_recall": "codegen.kept",
    "KernelProgram": "codegen.kernel",
    "lower": "codegen.lowering",
    "PIPELINE": "codegen.passes",
    "run_passes": "codegen.passes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
