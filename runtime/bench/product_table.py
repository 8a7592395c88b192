"""What timing the products of a step by every way gave, as a value that prints itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, final

from codegen.product_cost import AVX512, WAYS
from runtime.bench.candidates import TimedProduct, time_products
from runtime.bench.spread import Spread, figure
from runtime.bench.workload import Workload
from runtime.errors import InputError
from runtime.run_record import platform_facts, versions
from runtime.table_text import aligned

_CLEARLY = 1.15  # times as long as the best way: then that one would have been better


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTable:
    """Predicted and measured times of the products of a step.

    Attributes
    ----------
    work
        Whose products, for which batch.
    products
        Each of them, for each number of threads.
    blas
        Which kernels BLAS has for this processor.
    versions, platform
        As in the record of a run.
    """

    work: Workload
    products: tuple[TimedProduct, ...]
    blas: str
    versions: Mapping[str, str]
    platform: Mapping[str, str | int]

    def to_json(self) -> str:
        """Return every figure as JSON, in microseconds."""
        content = {
            "spec": self.work.spec,
            "batch": self.work.batch,
            "dtype": self.work.dtype,
            "model": AVX512.name,
            "blas": self.blas,
            "products": [_content(product) for product in self.products],
            "versions": dict(self.versions),
            "platform": dict(self.platform),
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        """Return a table for people."""
        head = ["product", "rows x columns x terms", "threads", *WAYS, "chosen", "better"]
        rows = [head, *map(_row, self.products)]
        return "\n".join(
            [
                f"products of a step of {self.work.spec}, batch {self.work.batch}, "
                f"{self.work.dtype}: µs measured (predicted)",
                f"{self.platform['cpu']}, BLAS with its kernels for {self.blas}",
                "",
                *aligned(rows),
                "",
                f"The model is of {AVX512.name}.",
                "own: tiles of our own; blas: a call of BLAS; loops: plain loops. Chosen is what "
                "kernels",
                "do here, for every batch and without knowing BLAS; better is what was faster by "
                "more than",
                "15 %. Several threads share a product, and meet once.",
            ]
        )


def _here(product: TimedProduct) -> str:
    """Return what kernels compute a product by on this processor."""
    chosen = product.choice.chosen
    return chosen if chosen in product.seconds else "blas"


def _better(product: TimedProduct) -> str | None:
    least = {way: min(seconds) for way, seconds in product.seconds.items()}
    best = min(least, key=lambda way: least[way])
    return best if least[_here(product)] > _CLEARLY * least[best] else None  # type: ignore[index]


def _row(product: TimedProduct) -> list[str]:
    sizes = product.choice.product
    times = [
        f"{figure(1e6 * median(product.seconds[way]))} "
        f"({figure(1e-3 * product.choice.predicted[way])})"
        if way in product.seconds
        else ""
        for way in WAYS
    ]
    extents = f"{sizes.rows} x {sizes.columns} x {sizes.summed}"
    better = _better(product) or ""
    return [product.choice.name, extents, str(product.threads), *times, _here(product), better]


def _content(product: TimedProduct) -> dict[str, Any]:
    sizes = product.choice.product
    return {
        "name": product.choice.name,
        "rows": sizes.rows,
        "columns": sizes.columns,
        "summed": sizes.summed,
        "over_samples": sizes.over_samples,
        "turned": sizes.turned,
        "threads": product.threads,
        "chosen": _here(product),
        "better": _better(product),
        "predicted": {w: round(1e-3 * t, 4) for w, t in product.choice.predicted.items()},
        "measured": {
            way: {k: round(v, 4) for k, v in Spread.of(seconds).times(1e6).to_json().items()}
            for way, seconds in product.seconds.items()
        },
    }


def product_table(work: Workload, *, threads: int, repeats: int) -> ProductTable:
    """Measure the products of a step, with one thread and with more if more are asked for.

    Raises
    ------
    InputError
        As `runtime.bench.candidates.time_products` says, or for less than one repeat or thread.
    """
    if repeats < 1 or threads < 1:
        raise InputError(f"repeats, threads: {repeats}, {threads}. Expected numbers from 1.")
    counts = tuple(dict.fromkeys((1, threads)))
    products = tuple(time_products(work, counts, repeats))
    return ProductTable(
        work=work,
        products=products,
        blas=_blas_kernels(),
        versions=versions(),
        platform=platform_facts(),
    )


def _blas_kernels() -> str:
    import scipy.linalg  # noqa: F401  # loads its BLAS
    import threadpoolctl

    found = [x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]
    ours = [x for x in found if "scipy" in x["filepath"]] or found
    return str(ours[0].get("architecture", "this processor")) if ours else "this processor"
