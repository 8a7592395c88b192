"""Gradients of networks as formulas, by one rule over ``sympy.diff``.

program = derive.gradient_program(derive.loss_program("2-10-2"))
print(derive.rewrite_program(program))
"""

from derive.errors import GradwrightError, InputError, InternalError, RunError
from derive.gradient import gradient_program, vjp_program
from derive.network import loss_program
from derive.program import Program, Statement, Step, Tensor
from derive.rewrite import rewrite_program
from derive.spec import NetworkSpec, parse_spec
from derive.stable import stable_program

__all__ = [
    "GradwrightError",
    "InputError",
    "InternalError",
    "NetworkSpec",
    "Program",
    "RunError",
    "Statement",
    "Step",
    "Tensor",
    "gradient_program",
    "loss_program",
    "parse_spec",
    "rewrite_program",
    "stable_program",
    "vjp_program",
]
