"""The products of a network's step by every way there is, timed as its kernels compute them."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal, final

import numpy as np

from codegen.compile import compile_module, keep_compiled
from codegen.emit.loops import kernel_arguments, kernel_source
from codegen.emit.tiles import tile_rows
from codegen.kernel import BATCH, Buffer, Contract, KernelProgram, reads
from codegen.product_choice import ProductChoice, product_choices
from codegen.product_cost import WAYS, Way
from codegen.source import GeneratedSource
from runtime.bench.workload import Workload
from runtime.errors import InputError

_LEAST = 5e-3  # seconds that a figure is the mean of, at least
# what multiplies matrices, by way; a kernel calls `_product`, which is one or the other
_CALLS = {"own": "_own_gemm", "blas": "_gemm"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TimedProduct:
    """A product with the seconds that each way took, a figure for each turn."""

    choice: ProductChoice
    threads: int
    seconds: dict[Way, tuple[float, ...]]


def time_products(work: Workload, threads: Sequence[int], repeats: int) -> list[TimedProduct]:
    """Time each product of a step by itself, by all ways in turn.

    All matrices lie in the caches as far as they fit; what several threads take includes that
    they meet once. BLAS is held to one thread. A way that the processor does not have is left out.

    Raises
    ------
    InputError
        If the network is so small that it has no products to choose a way for, or is not in
        float32, for which the model is.
    """
    from codegen.generation import generate

    if work.dtype != "float32":
        raise InputError(f"products: {work.dtype}. The model of their cost is for float32.")
    source = generate(work.network(), labels=work.labels)
    step = source.programs["step"]
    choices = {count: _choices(step, work, count) for count in threads}
    if not choices[threads[0]]:
        raise InputError(
            f"products: {work.spec} is computed by vectors, one kernel for all of it, and chooses "
            "nothing. Name a network of more than 8,192 parameters, such as 784-100-10."
        )
    nodes = [choice.node for choice in choices[threads[0]]]
    module = _compiled(source, step, nodes)
    if max(threads) > 1:
        module._place_waiting()
    ways = [way for way in WAYS if way != "own" or module.OWN_PRODUCTS]
    found = []
    with module._one_blas_thread(), ThreadPoolExecutor(max(threads)) as pool:
        for count in threads:
            for number, choice in enumerate(choices[count]):
                runs = {
                    way: _Run(module, step, choice.node, f"_{way}_{number}", way, work.batch, count)
                    for way in ways
                }
                turns = [
                    {way: run.seconds(pool) for way, run in runs.items()} for _ in range(repeats)
                ]
                seconds = {way: tuple(turn[way] for turn in turns) for way in ways}
                found.append(TimedProduct(choice=choice, threads=count, seconds=seconds))
    keep_compiled(module)
    return found


def _choices(step: KernelProgram, work: Workload, threads: int) -> tuple[ProductChoice, ...]:
    return product_choices(step, work.batch, threads=threads, tile_rows=tile_rows(work.sizes))


def _alone(step: KernelProgram, node: Contract, way: Way) -> KernelProgram:
    """Return a programme of one product by some way; loops read all samples last."""
    used = {node.out, *reads(node)}
    buffers = tuple(
        replace(
            buffer,
            role=_role(buffer, node),
            batch_first=buffer.batch_first and way != "loops",
        )
        for buffer in step.buffers
        if buffer.name in used
    )
    alone = replace(node, method="loops" if way == "loops" else "blas")
    return replace(step, buffers=buffers, nodes=(alone,), outputs=(node.out,))


def _role(buffer: Buffer, node: Contract) -> Literal["parameter", "output", "input"]:
    if buffer.role == "parameter":
        return "parameter"
    return "output" if buffer.name == node.out else "input"


def _compiled(
    source: GeneratedSource, step: KernelProgram, nodes: Sequence[Contract]
) -> ModuleType:
    """Return the network's module with a kernel more for each product and way."""
    texts = [source.text]
    for number, node in enumerate(nodes):
        for way in WAYS:
            name = f"{way}_{number}"
            program = _alone(step, node, way)
            text = kernel_source(program, name=name, multiply=_CALLS.get(way))
            taken = ", ".join(kernel_arguments(program))
            again = [
                "@_entry",
                f"def _{name}_again(times, {taken}):",
                "    for _ in range(times):",
                f"        _{name}({taken})",
            ]
            texts += [text, "\n".join(again) + "\n"]
    module = compile_module(replace(source, text="\n\n".join(texts)))
    module._place_products()
    return module


class _Run:
    """A product on matrices of its own, ready to be timed."""

    def __init__(
        self,
        module: ModuleType,
        step: KernelProgram,
        node: Contract,
        name: str,
        way: Way,
        batch: int,
        threads: int,
    ) -> None:
        program = _alone(step, node, way)
        self._function = getattr(module, f"{name}_again")
        taken = kernel_arguments(program)
        held = dict(_matrices(module, program, batch))
        held["params"] = tuple(held[b.name] for b in program.buffers if b.role == "parameter")
        held["eta"] = module.DTYPE(1e-6)
        turns = np.zeros(threads * module.LINE, np.int64)
        self._given = []
        for member in range(threads):
            own = {"team": (member, threads, turns), "work": getattr(module, f"{name}_work")(batch)}
            self._given.append([(held | own)[argument] for argument in taken])
        self._times = 1
        self._function(0, *self._given[0])  # compiles

    def seconds(self, pool: ThreadPoolExecutor) -> float:
        """Return the mean of some calls, as many as take long enough together."""
        while (mean := self._mean(pool)) * self._times < _LEAST:
            self._times = max(2 * self._times, int(1.2 * _LEAST / max(mean, 1e-9)))
        return mean

    def _mean(self, pool: ThreadPoolExecutor) -> float:
        before = time.perf_counter()
        if len(self._given) == 1:
            self._function(self._times, *self._given[0])
        else:
            jobs = [pool.submit(self._function, self._times, *given) for given in self._given]
            for job in jobs:
                job.result()
        return (time.perf_counter() - before) / self._times


def _matrices(module: ModuleType, program: KernelProgram, n: int) -> Iterator[tuple[str, Any]]:
    """Yield every array that a product reads or writes, as training holds it."""
    rng = np.random.Generator(np.random.PCG64(0))
    for buffer in program.buffers:
        shape = tuple(n if extent == BATCH else int(extent) for extent in buffer.shape)
        if len(shape) == 2 and buffer.shape[-1] == BATCH and not buffer.batch_first:
            array = module._lines(shape[0], n)
        else:
            array = np.zeros(shape[::-1] if buffer.batch_first else shape, module.DTYPE)
        array[:] = rng.standard_normal(array.shape)
        yield buffer.name, array
