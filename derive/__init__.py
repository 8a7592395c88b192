"""Gradients of networks as formulas, by one rule over ``sympy.diff``.

    print(derive.derivation("2-10-2"))

does all at once; the stages are functions of their own:

    program = derive.gradient_program(derive.loss_program("2-10-2"))
    print(derive.rewrite_program(program))

The names below are imported when they are first used, so that ``gradwright --help`` does
not wait for SymPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derive import catalogue as catalogue
    from derive.errors import GradwrightError, InputError, InternalError, RunError
    from derive.gradient import gradient_program, vjp_program
    from derive.network import loss_program
    from derive.network_derivation import Derivation, derivation
    from derive.program import Program, Statement, Step, Tensor
    from derive.recurrence import Recurrence, layer_recurrence
    from derive.rewrite import rewrite_program
    from derive.second_order import hvp_program
    from derive.spec import NetworkSpec, parse_spec
    from derive.stable import stable_program
    from derive.worksheets import Worksheet, worksheet

__all__ = [
    "Derivation",
    "GradwrightError",
    "InputError",
    "InternalError",
    "NetworkSpec",
    "Program",
    "Recurrence",
    "RunError",
    "Statement",
    "Step",
    "Tensor",
    "Worksheet",
    "derivation",
    "gradient_program",
    "hvp_program",
    "layer_recurrence",
    "loss_program",
    "parse_spec",
    "rewrite_program",
    "stable_program",
    "vjp_program",
    "worksheet",
]

_HOMES = {
    "GradwrightError": "derive.errors",
    "InputError": "derive.errors",
    "InternalError": "derive.errors",
    "RunError": "derive.errors",
    "gradient_program": "derive.gradient",
    "vjp_program": "derive.gradient",
    "loss_program": "derive.network",
    "Derivation": "derive.network_derivation",
    "derivation": "derive.network_derivation",
    "Program": "derive.program",
    "Statement": "derive.program",
    "Step": "derive.program",
    "Tensor": "derive.program",
    "Recurrence": "derive.recurrence",
    "layer_recurrence": "derive.recurrence",
    "rewrite_program": "derive.rewrite",
    "hvp_program": "derive.second_order",
    "NetworkSpec": "derive.spec",
    "parse_spec": "derive.spec",
    "stable_program": "derive.stable",
    "Worksheet": "derive.worksheets",
    "worksheet": "derive.worksheets",
}

_MODULES = ("catalogue",)  # offered whole: ``derive.catalogue.attention()``


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"derive.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
