"""What the machine can do: the right products, none below its floor, nothing above the peak."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.bench.floors import Floors, number
from runtime.bench.machine import Machine
from runtime.bench.peak import Peak
from runtime.bench.products import Products, products
from runtime.bench.workload import one_order, training_set, workload


def test_a_step_has_these_products() -> None:
    found = products(workload("mnist"))
    assert [product.name for product in found] == [
        "Z1 = X W1ᵀ",
        "Z2 = H1 W2ᵀ",
        "dW2 = dZ2ᵀ H1",
        "dH1 = dZ2 W2",
        "dW1 = dZ1ᵀ X",
    ]
    wide, narrow = 100 * 784 * 100, 100 * 100 * 10
    assert [product.multiply_adds for product in found] == [wide, *[narrow] * 3, wide]
    assert [product.name for product in products(workload("3-2"))] == ["Z1 = X W1ᵀ", "dW1 = dZ1ᵀ X"]
    assert len(products(workload("3-4-5-6-2"))) == 11


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_blas_is_called_for_these_very_products(threads: int, dtype: str) -> None:
    """Parts of the rows included: with three threads every result is made of three parts."""
    work = replace(workload("7-5-2", batch=11, dtype=dtype), samples=25)
    X, _ = training_set(work)
    order = one_order(work)[0]
    measured = Products(work, X, order, threads)
    for product in measured.products:
        measured.matrices[product.result][...] = np.nan
    assert measured.multiply(2) > 0
    for product in measured.products:
        left, right = measured.matrices[product.left], measured.matrices[product.right]
        left = left.T if product.transposed[0] else left
        right = right.T if product.transposed[1] else right
        result = measured.matrices[product.result]
        assert result.shape == (product.rows, product.columns)
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(result, left @ right, rtol=tolerance, atol=10 * tolerance)
    # an epoch gathers whole batches, in the order: 25 samples are two of 11
    assert measured.epoch() > 0
    np.testing.assert_array_equal(measured.matrices["X"], X[order[11:22]])
    one = measured.products[0]
    measured.matrices[one.result][...] = np.nan
    measured.epoch(multiplying=False)
    assert np.isnan(measured.matrices[one.result]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_peak_is_of_real_multiply_adds(dtype: str) -> None:
    peak = Peak(dtype)
    for at_once, loop in peak.loops.items():
        # sums s := s a + b that begin at b, b + 1, …; the last two of them after two rounds
        lanes = 64 // np.dtype(dtype).itemsize
        starts = np.arange(at_once // lanes) + 0.25
        each = (starts * 0.5 + 0.25) * 0.5 + 0.25
        assert loop(2, 0.5, 0.25) == pytest.approx(each.sum() + each[0])
    assert 1e8 < peak.rate(0.0) < 1e12


@pytest.mark.parametrize("threads", [1, 2])
def test_no_product_beats_its_floor_and_nothing_the_peak(threads: int) -> None:
    work = replace(workload("256-128-10", batch=128), samples=512)
    X, _ = training_set(work)
    measured = Machine(work, X, threads)
    floors = Floors.of(work, threads, [measured.measure() for _ in range(2)])
    for name, figures in floors.products.items():
        assert min(figures) >= floors.multiply_adds[name] / (floors.peak * threads)
    assert floors.peak == max(floors.peaks) >= floors.best_rate()
    assert 0 < floors.at_peak < floors.in_blas.least
    assert min(floors.gather) < floors.in_blas.most
    assert f"floor, {threads} thread" in floors.lines()[0]
    assert "the five products in BLAS" in floors.lines()[0]
    assert floors.to_json()["products"].keys() == floors.products.keys()


def test_numbers_in_words() -> None:
    assert [number(2), number(5), number(23)] == ["two", "five", "23"]
