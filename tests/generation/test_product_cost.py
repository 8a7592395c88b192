"""The model of what products cost: how it behaves, and against times that were measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from codegen.emit.tiles import tile_rows
from codegen.generation import generate
from codegen.kernel import Contract
from codegen.product_choice import product_choices
from codegen.product_cost import (
    AVX2,
    AVX512,
    BATCHES,
    LANES,
    MACHINES,
    MAYBE_UNROLLED,
    UNROLLED,
    WAYS,
    Machine,
    Product,
    Way,
    choose,
    dense_nanoseconds,
    nanoseconds,
    sparse_nanoseconds,
)

TIMES = json.loads(Path(__file__).with_name("product_times.json").read_text("utf-8"))
MOST_OFF = 1.5  # times, the model and what was measured
# OpenBLAS' times jump by more between sizes that hardly differ
MOST_OFF_BLAS = 2.0
MEETING = 1.0  # µs that two threads may wait for each other, more or less
MOST_WORSE = 1.2  # times, all products of a step as chosen and by the best way for each


def ways_of(machine: Machine) -> tuple[Way, ...]:
    return tuple(way for way in WAYS if way != "own" or machine.own_rate is not None)


FORMS = {
    "forward": {},
    "forward from the inputs": {"turned": True},
    "gradient": {"over_samples": True, "turned": True},
    "gradient of the inputs": {"over_samples": True},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("machine", MACHINES, ids=["AVX-512", "AVX2"])
def test_more_is_never_faster(machine: Machine, form: dict[str, bool]) -> None:
    """Nor are more rows, columns or terms; but BLAS may stop to copy where sums are long enough."""
    for way in ways_of(machine):
        for threads in (1, 2):
            for extent in ("rows", "columns", "summed"):
                times = []
                for size in (1, 2, 5, 16, 17, 31, 33, 64, 100, 257, 1000):
                    sizes = {"rows": 64, "columns": 64, "summed": 64} | {extent: size}
                    product = Product(**sizes, **form)
                    times.append(nanoseconds(way, product, machine, threads=threads))
                if way == "blas" and form.get("turned") and machine.blas_does_small:
                    continue
                assert times == sorted(times), (way, threads, extent)


def test_a_share_is_of_rows_or_of_whole_vectors_of_samples() -> None:
    forward = Product(rows=10, columns=100, summed=50)
    assert forward.share(1) == forward
    assert forward.share(2) == Product(rows=10, columns=4 * LANES, summed=50)
    assert forward.share(100).columns == LANES
    gradient = Product(rows=11, columns=100, summed=50, over_samples=True)
    assert gradient.share(2) == Product(rows=6, columns=100, summed=50, over_samples=True)


def test_two_threads_pay_for_large_products_alone() -> None:
    large, small = (Product(rows=n, columns=n, summed=n) for n in (128, 16))
    one, two = (nanoseconds("own", large, threads=n) for n in (1, 2))
    assert 1.7 < one / two < 2
    assert nanoseconds("own", small, threads=2) > 0.9 * nanoseconds("own", small)


def test_a_machine_without_wide_registers_has_no_product_of_ours() -> None:
    with pytest.raises(ValueError, match="no product of our own"):
        nanoseconds("own", Product(rows=2, columns=2, summed=2), AVX2)


def of_batches(**sizes: Any) -> list[Product]:
    """Return a product for several batches; the extent that is left out is the batch."""
    (batched,) = {"columns", "summed"} - sizes.keys()
    return [
        Product(**sizes, **{batched: batch}, over_samples=batched == "summed") for batch in BATCHES
    ]


@pytest.mark.parametrize(
    ("products", "expected"),
    [
        (of_batches(rows=100, summed=784, turned=True), "call"),
        (of_batches(rows=10, summed=100), "call"),
        (of_batches(rows=100, summed=10), "call"),
        (of_batches(rows=100, columns=784), "call"),
        (of_batches(rows=10, columns=100, turned=True), "call"),
        (of_batches(rows=2, columns=100, turned=True), "loops"),
        (of_batches(rows=10, summed=2), "loops"),
        (of_batches(rows=10, columns=2, turned=True), "loops"),
    ],
)
def test_known_cases(products: list[Product], expected: str) -> None:
    assert choose(products) == expected


@pytest.mark.parametrize("spec", ["784-100-10", "64-64-64-10", "784-256-256-10"])
def test_networks_that_were_measured_are_all_calls(spec: str) -> None:
    step = generate(spec).programs["step"]
    methods = {node.method for node in step.nodes if isinstance(node, Contract)}
    assert methods == {"blas", "sparse"}


def test_what_was_chosen_is_told_for_each_product() -> None:
    step = generate("784-100-2").programs["step"]
    choices = product_choices(step, 100, tile_rows=tile_rows((784, 100, 2)))
    assert [(c.product.rows, c.product.columns, c.product.summed) for c in choices] == [
        (100, 100, 784), (2, 100, 100), (100, 100, 2), (100, 784, 100), (2, 100, 100),
    ]  # fmt: skip
    assert [c.product.turned for c in choices] == [True, False, False, False, True]
    assert [c.chosen for c in choices] == ["own", "own", choices[2].chosen, "own", "loops"]
    assert product_choices(generate("2-10-2").programs["step"], 10, tile_rows=10) == ()


# ------------------------------------------------------------------ against what was measured


def product_of(row: dict[str, Any]) -> Product:
    names = ("rows", "columns", "summed", "over_samples", "turned")
    return Product(**{name: row[name] for name in names})


@pytest.mark.parametrize("network", TIMES["networks"], ids=lambda n: n["spec"])
def test_the_model_is_near_what_was_measured(network: dict[str, Any]) -> None:
    """Of two threads only calls are known: side by side in a row, loops wait for each other."""
    sizes = tuple(map(int, network["spec"].split("-")))
    off = {}
    for row in network["products"]:
        for way, measured in row["measured"].items():
            product, threads = product_of(row), row["threads"]
            if way == "loops" and _is_unknown(product, threads):
                if product.summed > MAYBE_UNROLLED and not product.over_samples:
                    assert measured > 2 * row["measured"]["own"]
                continue
            found = 1e-3 * nanoseconds(way, product, threads=threads, tile_rows=tile_rows(sizes))
            most = MOST_OFF_BLAS if way == "blas" else MOST_OFF
            slack = MEETING if threads > 1 else 0
            if not measured / most - slack <= found <= measured * most + slack:
                off[row["name"], threads, way] = (measured, round(found, 2))
    assert not off


def _is_unknown(product: Product, threads: int) -> bool:
    """By up to ten times, it depends on what the compiler finds in a long sum."""
    return threads > 1 or (not product.over_samples and product.summed > UNROLLED)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("network", TIMES["networks"], ids=lambda n: n["spec"])
def test_no_other_choice_would_have_been_much_better(network: dict[str, Any], threads: int) -> None:
    rows = [row["measured"] | row for row in network["products"] if row["threads"] == threads]
    assert rows
    chosen = sum(row[row["chosen"]] for row in rows)
    best = sum(min(row["measured"].values()) for row in rows)
    assert chosen <= MOST_WORSE * best
    for row in rows:
        ways = [product_of(row | {_batched(row): batch}) for batch in BATCHES]
        expected = "loops" if choose(ways) == "loops" else "own"
        assert row["chosen"] == expected, "the table is of other choices: measure it again"


def _batched(row: dict[str, Any]) -> str:
    return "summed" if row["over_samples"] else "columns"


@pytest.mark.parametrize("share", TIMES["sparse"], ids=lambda s: str(s["density"]))
def test_what_sparse_inputs_save_is_known(share: dict[str, Any]) -> None:
    """The difference of two steps, dense and sparse, is that of the first layer's products."""
    units, inputs, batch, density = (share[k] for k in ("units", "inputs", "batch", "density"))
    predicted = dense_nanoseconds(units, inputs, batch) - sparse_nanoseconds(
        units, inputs, batch, density
    )
    saved = share["dense"] - share["sparse"]
    assert 1e-3 * predicted == pytest.approx(saved, abs=0.2 * share["dense"])


def test_sparse_products_are_chosen_where_they_pay() -> None:
    """What training compares the inputs' density with is in the emitted text."""
    most = 0.25
    assert f"MOST_NONZERO = {most}\n" in generate("784-100-10").text
    assert sparse_nanoseconds(100, 784, 100, most) < dense_nanoseconds(100, 784, 100)
    times = [sparse_nanoseconds(100, 784, 100, d) for d in (0, 0.1, 0.2, 0.5, 1)]
    assert times == sorted(times)
    assert times[-1] > dense_nanoseconds(100, 784, 100)
    assert AVX512.own_rate is not None
