"""The processor's peak: the most multiply-adds a second that one core can do.

The loop is written in LLVM's own language: vectors as wide as any processor has, several
sums that do not wait for one another, no memory. How many sums it takes to keep the units
busy depends on the processor, so that several numbers are tried, and the best one counts.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any

_TYPES = {"float32": ("float", 16), "float64": ("double", 8)}  # 64 bytes
# sums at a time: with too few the units wait, with too many sums leave their registers
_SUMS = (4, 6, 8, 10, 12, 16, 24)
_BURST = 1e-3  # seconds; short, so that one of many is not disturbed


class Peak:
    """Measures the peak of the core that it runs on."""

    def __init__(self, dtype: str) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
        )
        text = "\n".join(loop_text(dtype, sums) for sums in _SUMS)
        module = llvm.parse_assembly(f"{text}\n{_declaration(dtype)}")
        module.verify()
        self._engine = llvm.create_mcjit_compiler(module, target)  # keeps the code alive
        self._engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_double, ctypes.c_double)
        lanes = _TYPES[dtype][1]
        self.loops = {  # by how many multiply-adds a round does
            sums * lanes: kind(self._engine.get_function_address(f"sums_{sums}")) for sums in _SUMS
        }

    def rate(self, seconds: float) -> float:
        """Return the most multiply-adds a second in any burst, trying for so long."""
        best = 0.0
        deadline = time.perf_counter() + seconds
        while True:
            for at_once, loop in self.loops.items():
                best = max(best, _burst(loop, at_once))
            if time.perf_counter() > deadline:
                return best


def _burst(loop: Callable[..., Any], at_once: int) -> float:
    """Return the rate of one burst of a loop that does so many multiply-adds a round."""
    rounds = max(1, int(_BURST * 5e10 / at_once))  # some 50 of them in a nanosecond
    before = time.perf_counter()
    loop(rounds, 0.5, 0.25)
    return rounds * at_once / (time.perf_counter() - before)


def loop_text(dtype: str, sums: int) -> str:
    """Return ``double sums_N(rounds, a, b)`` in LLVM's language: N times sum := sum a + b."""
    name, lanes = _TYPES[dtype]
    kind = f"<{lanes} x {name}>"
    to = "fptrunc double %{0} to float" if name == "float" else "fadd double %{0}, 0.0"
    each = range(sums)
    lines = [
        f"define double @sums_{sums}(i64 %rounds, double %a, double %b) {{",
        "entry:",
        *_splat("a", to, kind, name, lanes),
        *_splat("b", to, kind, name, lanes),
        # sums that begin alike would be one and the same
        *(f"  %start{k} = fadd {kind} %vb, {_constant(name, lanes, k)}" for k in each),
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *(f"  %s{k} = phi {kind} [ %start{k}, %entry ], [ %t{k}, %loop ]" for k in each),
        *(
            f"  %t{k} = call {kind} @{_function(dtype)}({kind} %s{k}, {kind} %va, {kind} %vb)"
            for k in each
        ),
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %rounds",
        "  br i1 %more, label %loop, label %end",
        "end:",
        f"  %sum0 = fadd {kind} %t0, %t0",
        *(f"  %sum{k} = fadd {kind} %sum{k - 1}, %t{k}" for k in each[1:]),
        f"  %one = extractelement {kind} %sum{sums - 1}, i64 0",
        "  %result = fpext float %one to double"
        if name == "float"
        else "  %result = fadd double %one, 0.0",
        "  ret double %result",
        "}",
    ]
    return "\n".join(lines)


def _splat(argument: str, to: str, kind: str, name: str, lanes: int) -> list[str]:
    return [
        f"  %n{argument} = {to.format(argument)}",
        f"  %l{argument} = insertelement {kind} poison, {name} %n{argument}, i64 0",
        f"  %v{argument} = shufflevector {kind} %l{argument}, {kind} poison, "
        f"<{lanes} x i32> zeroinitializer",
    ]


def _constant(name: str, lanes: int, value: int) -> str:
    return "<" + ", ".join([f"{name} {value}.0"] * lanes) + ">"


def _function(dtype: str) -> str:
    # fused where the processor can; else a product and a sum, and never a call of libm
    return f"llvm.fmuladd.v{_TYPES[dtype][1]}f{dtype[5:]}"


def _declaration(dtype: str) -> str:
    kind = "<{1} x {0}>".format(*_TYPES[dtype])
    return f"declare {kind} @{_function(dtype)}({kind}, {kind}, {kind})"
