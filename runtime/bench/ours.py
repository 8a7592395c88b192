"""Our kernels: one compiled call for a whole run."""

import time

from runtime.bench.workload import Array, Order, Params, Workload
from runtime.data.sparse_rows import Inputs


class Ours:
    """What ``gradwright train`` trains with, from the derivation on.

    Attributes
    ----------
    facts
        ``generate_seconds``, from the formulas to the source; ``bytes_per_step``, what the
        nodes of a step read and write (`codegen.cost`).
    """

    def __init__(self, work: Workload, X: Inputs, Y: Array, threads: int) -> None:
        import codegen
        from codegen.cost import cost

        before = time.perf_counter()
        generated = codegen.generate(work.network(), dtype=work.dtype, labels=work.labels)
        self.facts: dict[str, float] = {"generate_seconds": time.perf_counter() - before}
        self.facts["bytes_per_step"] = cost(generated.programs["step"], work.batch).bytes
        self._module = codegen.compile_module(generated)
        self._kept = False
        self._work, self._X, self._Y, self._threads = work, X, Y, threads

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train as `runtime.bench.peers.Contender` says."""
        self._module.train(
            params,
            self._X,
            self._Y,
            epochs=epochs,
            batch=self._work.batch,
            eta=self._work.eta,
            order=order,
            evaluate=False,
            threads=self._threads,
            sparse=self._work.sparse,
        )
        if not self._kept:
            import codegen

            codegen.keep_compiled(self._module)
            self._kept = True
