"""What was chosen for each product of a kernel programme, and what the model says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from codegen.kernel import Contract, KernelProgram
from codegen.passes.choose_matmul import product_of
from codegen.product_cost import AVX512, WAYS, Machine, Product, Way, call_of, nanoseconds


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChoice:
    """A product, the way that it is computed, and the predicted time of each way.

    Attributes
    ----------
    name
        The formula that it is the product of.
    node
        The product in its programme.
    product
        Its sizes.
    chosen
        What a machine with our own product computes it by.
    predicted
        Way -> nanoseconds.
    """

    name: str
    node: Contract
    product: Product
    chosen: Way
    predicted: Mapping[Way, float]


def product_choices(
    program: KernelProgram,
    batch: int,
    *,
    threads: int = 1,
    tile_rows: int,
    machine: Machine = AVX512,
) -> tuple[ProductChoice, ...]:
    """Return the products for which a way was chosen; none in a network of vectors.

    Products over inputs are told as they are where few of these are 0.
    """
    return tuple(
        ProductChoice(
            name=node.origin[0] if node.origin else node.out,
            node=node,
            product=(product := product_of(program, node, batch)),
            chosen="loops" if node.method == "loops" else call_of(machine),
            predicted={
                way: nanoseconds(way, product, machine, threads=threads, tile_rows=tile_rows)
                for way in WAYS
            },
        )
        for node in program.nodes
        if isinstance(node, Contract) and node.method != "undecided"
    )


__all__ = ["ProductChoice", "product_choices"]
