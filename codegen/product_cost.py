"""What a matrix product costs by each of the ways there are: the model by which one is chosen.

There are three: a product of our own in tiles (``own``, ``codegen/templates/products.txt``), a
call of BLAS (``blas``), and plain loops, which a compiler turns into vectors (``loops``). The
emitted text is the same for every machine, and for every size of a batch: it has loops for a
product, or a call, which is of our own where the processor has registers of 512 bits and of BLAS
where it has not. So `choose` takes what is least bad on both kinds of machine, for small and
large batches. Nothing else is chosen by these figures: they are of one machine, and of another
one they tell which product is how large beside which.

All times are in nanoseconds, of matrices that lie in the caches near a core, in float32. Constants
were fitted by eye to what ``gradwright bench SPEC --products`` measures; the table against which
the model is tested, and how it was made, is ``tests/generation/product_times.json``.

References
----------
OpenBLAS, ``kernel/x86_64/sgemm_small_kernel_permit_skylakex.c``: which products it does without
copying them first.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, final

Way = Literal["own", "blas", "loops"]
WAYS: tuple[Way, ...] = ("own", "blas", "loops")

LANES = 16  # numbers in a vector
TILE_ROWS = 10  # of our own product; `codegen.emit.tiles` suits them to a network
TILE_COLUMNS = 32
MOST_SMALL = 100**3  # multiply-adds of a product for which OpenBLAS may copy nothing
MOST_TURNED = 1200  # entries of its result where the right factor is given transposed,
LEAST_TURNED = 32  # and terms of each of its sums
UNROLLED = 32  # terms of a sum that a compiler unrolls: it vectorises what is around them. Up to
MAYBE_UNROLLED = 64  # it sometimes does, by what stands around; here it counts as if it did not
BATCHES = (32, 100, 500)  # for which a way is chosen: the size of a batch is not known yet
# loops must be so much faster to be chosen: they are compiled once more for every product
CLEARLY = 1.1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """``C (rows, columns) = A B``, each entry a sum of so many terms, C stored by rows.

    Attributes
    ----------
    over_samples
        Whether the sums run over a batch, as those of a gradient do; else the columns do.
    turned
        Whether B is stored transposed, as the samples of all layers but the first are.
    """

    rows: int
    columns: int
    summed: int
    over_samples: bool = False
    turned: bool = False

    @property
    def multiply_adds(self) -> int:
        """How many of them it takes."""
        return self.rows * self.columns * self.summed

    def share(self, threads: int) -> "Product":
        """Return the largest part that one of some threads has: samples in vectors, or rows."""
        if self.over_samples:
            return replace(self, rows=-(-self.rows // threads))
        if threads == 1:
            return self
        vectors = -(-self.columns // LANES)
        return replace(self, columns=min(self.columns, -(-vectors // threads) * LANES))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How fast a core does what products consist of.

    Attributes
    ----------
    name
        The processor, and which kernels BLAS has for it.
    own_rate
        Multiply-adds a nanosecond in tiles of our own; None where there are none.
    own_call, own_tile, own_turn
        Of our own: a call, a tile beside its sums, and a number that is turned.
    blas_rate, blas_call, blas_copy
        Of BLAS: multiply-adds a nanosecond, a call, and a number of B that is copied first.
    blas_does_small
        Whether BLAS has kernels for small products, which copy nothing.
    loops_rate, loops_long_rate
        Multiply-adds a nanosecond in loops over samples, where sums are unrolled and where not.
    loops_call, loops_row, dot_call, dot_rate
        Loops of a product, and a row of it; of a sum over samples its start, and its terms a
        nanosecond.
    meeting
        To meet another thread that is at work, too.
    """

    name: str
    own_rate: float | None
    own_call: float = 30.0
    own_tile: float = 5.0
    own_turn: float = 0.05
    blas_rate: float
    blas_call: float = 50.0
    blas_copy: float
    blas_does_small: bool
    loops_rate: float
    loops_long_rate: float
    loops_call: float = 40.0
    loops_row: float = 1.5
    dot_call: float = 1.35
    dot_rate: float = 40.0
    meeting: float = 100.0


AVX512 = Machine(
    name="AMD EPYC (family 26), AVX-512, OpenBLAS 0.3.30 with its SkylakeX kernels",
    own_rate=127.0,
    blas_rate=122.0,
    blas_copy=0.27,
    blas_does_small=True,
    loops_rate=75.0,
    loops_long_rate=2.0,
)
AVX2 = Machine(
    name="the same held to AVX2: Numba to haswell, OpenBLAS to its Haswell kernels",
    own_rate=None,
    blas_rate=61.0,
    blas_copy=0.32,
    blas_call=180.0,
    blas_does_small=False,
    loops_rate=46.0,
    loops_long_rate=2.0,
)
MACHINES = (AVX512, AVX2)


def nanoseconds(
    way: Way,
    product: Product,
    machine: Machine = AVX512,
    *,
    threads: int = 1,
    tile_rows: int = TILE_ROWS,
) -> float:
    """Return how long a product takes, shared by some threads, which meet at its end.

    Raises
    ------
    ValueError
        If the machine does not have this way.
    """
    part = product.share(threads)
    meeting = machine.meeting * (threads > 1)
    match way:
        case "own":
            return meeting + _own(part, machine, tile_rows)
        case "blas":
            return meeting + _blas(part, machine)
        case "loops":
            return meeting + _loops(part, machine)


def _own(product: Product, machine: Machine, tile_rows: int) -> float:
    """Count all rows and vectors of the tiles, also those that C has not."""
    if machine.own_rate is None:
        raise ValueError(f"{machine.name}: no product of our own")
    down = -(-product.rows // tile_rows)
    across = -(-product.columns // LANES)
    tiles = down * -(-product.columns // TILE_COLUMNS)
    computed = down * tile_rows * across * LANES * product.summed
    turned = across * LANES * _whole(product.summed, LANES) * product.turned
    return (
        machine.own_call
        + machine.own_tile * tiles
        + machine.own_turn * turned
        + computed / machine.own_rate
    )


def _blas(product: Product, machine: Machine) -> float:
    """Count that B is copied into another order first, but for small products."""
    return (
        machine.blas_call
        + machine.blas_copy * product.columns * product.summed * (not _is_small(product, machine))
        + product.rows * _whole(product.columns, LANES) * product.summed / machine.blas_rate
    )


def _is_small(product: Product, machine: Machine) -> bool:
    fits = not product.turned or (
        product.rows * product.columns <= MOST_TURNED and product.summed >= LEAST_TURNED
    )
    return machine.blas_does_small and fits and product.multiply_adds <= MOST_SMALL


def _loops(product: Product, machine: Machine) -> float:
    """Take a sum over samples as a dot product, and any other as one of vectors of samples."""
    entries = product.rows * product.columns
    if product.over_samples:
        return machine.loops_call + entries * (machine.dot_call + product.summed / machine.dot_rate)
    computed = product.rows * _whole(product.columns, LANES) * product.summed
    is_unrolled = product.summed <= UNROLLED
    rate = machine.loops_rate if is_unrolled else machine.loops_long_rate
    return machine.loops_call + machine.loops_row * product.rows + computed / rate


def _whole(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def call_of(machine: Machine) -> Way:
    """Return which product a call is of, on a machine."""
    return "blas" if machine.own_rate is None else "own"


def choose(products: Iterable[Product]) -> Literal["loops", "call"]:
    """Return by which way a product is least bad, given as it is for batches of some sizes.

    On each machine and for each batch, a way is as bad as its time over the faster one's; what
    counts is the worst of all. Loops must be the better one clearly.
    """
    call = loops = 1.0
    for product, machine in itertools.product(products, MACHINES):
        by_call = nanoseconds(call_of(machine), product, machine)
        ratio = nanoseconds("loops", product, machine) / by_call
        loops, call = max(loops, ratio), max(call, 1 / ratio)
    return "loops" if CLEARLY * loops < call else "call"


def sparse_nanoseconds(
    units: int, inputs: int, batch: int, density: float, *, threads: int = 1
) -> float:
    """Return how long the first layer's two products take over the inputs that are not 0.

    Each of these is multiplied by all units, in vectors, twice: forward, and in the step.
    """
    vectors = -(-units // LANES)
    nonzeros = density * inputs * batch
    each = SPARSE_CALL + SPARSE_VECTOR * vectors
    return (2 * nonzeros * each + SPARSE_INPUT * inputs * vectors) / threads + (
        2 * AVX512.meeting * (threads > 1)
    )


# Measured as a step of 784-100-10, batch 100, at shares of 0.05 to 0.5: 33 + 232 d µs.
SPARSE_CALL = 0.15  # of an input that is not 0, beside its vectors
SPARSE_VECTOR = 0.19  # of LANES units: a load and a multiply-add
SPARSE_INPUT = 1.0  # of a vector of weights, which a step reads and writes


def dense_nanoseconds(units: int, inputs: int, batch: int, *, threads: int = 1) -> float:
    """Return how long the first layer's two products take over all inputs, by our own."""
    forward = Product(rows=units, columns=batch, summed=inputs, turned=True)
    step = Product(rows=units, columns=inputs, summed=batch, over_samples=True)
    return sum(nanoseconds("own", product, threads=threads) for product in (forward, step))


__all__ = [
    "AVX2",
    "AVX512",
    "BATCHES",
    "MACHINES",
    "WAYS",
    "Machine",
    "Product",
    "Way",
    "call_of",
    "choose",
    "dense_nanoseconds",
    "nanoseconds",
    "sparse_nanoseconds",
]
