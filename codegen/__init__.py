"""From derived formulas to compiled kernels.

source = codegen.generate("2-10-2")
module = codegen.compile_module(source)
module.train(module.init_params(), X, Y, epochs=150, batch=10, eta=0.03)
"""

from codegen.compile import compile_module, keep_compiled
from codegen.generate import GeneratedSource, generate
from codegen.interpret import interpret
from codegen.kernel import KernelProgram
from codegen.lower import lower
from codegen.passes import PIPELINE, run_passes

__all__ = [
    "PIPELINE",
    "GeneratedSource",
    "KernelProgram",
    "compile_module",
    "generate",
    "interpret",
    "keep_compiled",
    "lower",
    "run_passes",
]
