"""Training over the inputs that are not 0 alone: the same as by every input, but for rounding.

Most runs are by Python; what a compiler could spoil runs compiled as well.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emitted import BLAS, BLAS_IN_PYTHON, LAB_IN_PYTHON, Case, assert_all_near, same_bytes
from scipy.sparse import csr_array

from runtime.data import sparse_rows

N, BATCH, ETA = 70, 16, 0.1  # the last batch of an epoch has six samples
DENSITIES = [0.0, 0.01, 0.19, 0.5, 1.0]
WIDE = [
    BLAS_IN_PYTHON,
    # several blocks of inputs, the last of one; several sums together; one unit; no hidden layer
    Case(text="161-230-3", loss="cross-entropy", dtype="float64", is_compiled=False),
    Case(text="2100-1-4-2", loss="mse", dtype="float64", is_compiled=False),
    Case(text="2100-1-2", loss="cross-entropy", dtype="float64", is_compiled=False),
    Case(text="143-17:relu-2", loss="cross-entropy", dtype="float64", is_compiled=False),
    Case(text="420-7", loss="cross-entropy", dtype="float64", is_compiled=False),
]


def sparse_batch(case: Case, count: int, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of a density, with a sample and an input that are all 0, and targets."""
    X, Y, _ = case.batch(count)
    X = X * (np.random.default_rng(7).random(X.shape) < density)
    X[count // 2] = 0
    X[:, X.shape[1] // 3] = 0
    X[X == 0] = np.random.default_rng(8).choice([0.0, -0.0], (X == 0).sum())
    return X.astype(case.dtype), Y


def trained(
    case: Case, X: np.ndarray, Y: np.ndarray, **options: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    params = case.params()
    given = {"epochs": 2, "batch": BATCH, "eta": ETA, **options}
    return params, case.module.train(params, X, Y, **given)


@pytest.mark.sweep
@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("case", WIDE, ids=str)
def test_it_is_pytorchs_training(case: Case, density: float) -> None:
    X, Y = sparse_batch(case, N, density)
    orders = np.stack([np.random.default_rng(e).permutation(N) for e in range(2)])
    expected = case.torch.trained(case.params(), X, Y, orders, BATCH, ETA)
    found, _ = trained(case, X, Y, order=orders, sparse="always")
    assert case.module._nonzeros(X, "always")[0].size, "or it is no such network"
    assert_all_near(found, expected, 1e-10)


@pytest.mark.sweep
@pytest.mark.parametrize("case", [BLAS], ids=str)
@pytest.mark.parametrize("batch", [1, 15, 16, 64, 65, 127, 128, 129, 300])
def test_compiled_it_is_what_every_input_gives(case: Case, batch: int) -> None:
    """Batches of fewer samples than a vector, of more than a word of bits, than a sum takes."""
    X, Y = sparse_batch(case, 610, 0.3)
    weights = np.random.default_rng(3).uniform(0, 2, 610)
    runs = [
        trained(case, X, Y, sparse=sparse, batch=batch, weights=weights, evaluate=True)
        for sparse in ("always", "never")
    ]
    assert_all_near(runs[0][0], runs[1][0], 1e-12)
    np.testing.assert_allclose(runs[0][1], runs[1][1], rtol=1e-12)


def test_a_step_looks_at_the_inputs_that_a_batch_has_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hardly any is not 0: once at each that some sample has, and at each of its own."""
    case = WIDE[3]
    X, Y = sparse_batch(case, BATCH, 0.01)
    looks: list[int] = []
    lowest = case.module._lowest

    def look(bits: Any) -> Any:
        looks.append(int(bits))
        return lowest(bits)

    monkeypatch.setattr(case.module, "_lowest", look)
    trained(case, X, Y, sparse="always", epochs=1, evaluate=False)
    compressing = stepping = np.count_nonzero(X)
    assert 0 < np.count_nonzero(X.any(axis=0)) < X.shape[1] / 4
    assert len(looks) == compressing + stepping + np.count_nonzero(X.any(axis=0))


@pytest.mark.parametrize("sparse", ["always", "never"])
def test_a_run_goes_the_way_that_is_asked_for(sparse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is called: the results may be the same to the last bit."""
    module = BLAS_IN_PYTHON.module
    called = set()

    def noting(name: str) -> Callable[..., Any]:
        call = getattr(module, name)

        def noted(*given: Any) -> Any:
            called.add(name)
            return call(*given)

        return noted

    own = {"_add_sparse_product_apart", "_add_sparse_step_apart"}
    for name in (*own, "_product"):
        monkeypatch.setattr(module, name, noting(name))
    trained(BLAS_IN_PYTHON, *sparse_batch(BLAS_IN_PYTHON, N, 0.3), sparse=sparse)
    assert called == {"_product"} | (own if sparse == "always" else set())  # of the other layers


@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, BLAS], ids=str)
def test_few_inputs_are_found_and_many_left(case: Case) -> None:
    for density, same_as in ((0.05, "always"), (0.9, "never")):
        X, Y = sparse_batch(case, N, density)
        found, expected = trained(case, X, Y), trained(case, X, Y, sparse=same_as)
        assert same_bytes(found[0], expected[0]), density


def test_kernels_are_placed_when_they_are_needed_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To compile one takes half a second, and a run may be a loop of many calls."""
    module = BLAS_IN_PYTHON.module
    placed: list[str] = []
    monkeypatch.setattr(module, "_place", lambda kernel, *_: placed.append(kernel.__name__))
    module._place_kernels.cache_clear()
    module._place_sparse.cache_clear()
    X, Y = sparse_batch(BLAS_IN_PYTHON, N, 0.3)
    needed: list[str] = []
    for sparse, evaluate, others in (
        ("never", False, ["_step"]),
        ("always", False, ["_add_sparse_product", "_add_sparse_step"]),
        ("never", True, ["_loss", "_evaluate"]),
        ("always", True, []),
    ):
        trained(BLAS_IN_PYTHON, X, Y, sparse=sparse, evaluate=evaluate)
        needed += others
        assert placed == needed


def test_dense_rows_that_no_sample_of_them_showed() -> None:
    """Every second row is looked at first; the others are all dense."""
    case = BLAS_IN_PYTHON
    X, Y = sparse_batch(case, 513, 1.0)
    X[::2] = 0
    module = case.module
    assert np.count_nonzero(X[:: 513 // 256]) == 0
    assert module._nonzeros(X, "auto")[0].size == 0
    assert module._nonzeros(X, "always")[0].size > 0
    found, expected = trained(case, X, Y, epochs=1), trained(case, X, Y, epochs=1, sparse="never")
    assert same_bytes(found[0], expected[0])


@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, BLAS, WIDE[1], WIDE[4]], ids=str)
@pytest.mark.parametrize("density", DENSITIES)
def test_the_compressed_rows_are_the_inputs(case: Case, density: float) -> None:
    X, _ = sparse_batch(case, 19, density)
    X[3, -1], X[4, 0] = np.nan, np.inf
    for threads in (1, 2, 3):
        starts, columns, values, edges = case.module._nonzeros(X, "always", BATCH, threads)
        dense = np.zeros_like(X)
        blocks = edges.size - 1
        for s in range(19):
            for block in range(blocks):
                here = slice(*starts[s * edges.size + block :][:2])
                dense[s, edges[block] + columns[here].astype(int)] = values[here]
        np.testing.assert_array_equal(dense, X)
        counts = starts.reshape(19, -1)[:, -1] - starts.reshape(19, -1)[:, 0]
        np.testing.assert_array_equal(counts, np.count_nonzero(X, axis=1))
        assert blocks % threads == 0


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_blocks_hold_all_inputs_once_and_none_too_many(case: Case) -> None:
    """However many threads share them, some of which get none."""
    module, inputs = case.module, case.module.SIZES[0]
    for density in (0.0, 0.2, 1.0):
        some = np.random.default_rng(inputs).random((50, inputs)) < density
        for threads in (1, 2, 3, 7, 64):
            edges = module._edges(some, 100, threads)
            assert (edges[0], edges[-1]) == (0, inputs)
            assert (edges.size - 1) % threads == 0
            widths = np.diff(edges)
            assert widths.min() >= 0
            assert widths.max() <= module.NEAR
            assert all(edge % module.LANES == 0 for edge in edges[:-1] if edge < inputs)


@pytest.mark.parametrize("stop", [False, True])
def test_the_weights_are_there_whenever_one_looks(stop: bool) -> None:
    case = BLAS_IN_PYTHON
    X, Y = sparse_batch(case, N, 0.1)
    whole, history = trained(case, X, Y, epochs=4, evaluate=True, sparse="always")
    params = case.params()
    for epoch in range(4):
        case.module.train(
            params, X, Y, epochs=1, batch=BATCH, eta=ETA, start=epoch, sparse="always"
        )
        assert case.module.loss(params, X, Y) == pytest.approx(history[epoch, 0], rel=1e-12)
    assert same_bytes(params, whole)
    if stop:
        params = case.params()
        rows = case.module.train(
            params, X, Y, epochs=10**6, batch=BATCH, eta=ETA, sparse="always",
            callback=lambda rows: True,
        )  # fmt: skip
        assert case.module.loss(params, X, Y) == pytest.approx(rows[-1, 0], rel=1e-12)


def test_what_is_made_of_the_arrays_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    case = BLAS_IN_PYTHON
    X, Y = sparse_batch(case, N, 0.1)
    whole, _ = trained(case, X, Y, epochs=3, test=(X[:5], Y[:5]), sparse="always")
    params, reuse, test = case.params(), {}, (X[:5], Y[:5])
    make, made = case.module._nonzeros, []
    monkeypatch.setattr(
        case.module, "_nonzeros", lambda X, *given: made.append(len(X)) or make(X, *given)
    )
    options: dict[str, Any] = {"batch": BATCH, "eta": ETA, "sparse": "always", "reuse": reuse}
    for epoch in range(3):
        case.module.train(params, X, Y, epochs=1, start=epoch, test=test, **options)
    assert same_bytes(params, whole)
    assert [rows for rows in made if rows] == [N, 5]
    # other arrays are looked at anew, and one that is not evaluated is not looked at
    others, _ = trained(case, X[::-1], Y[::-1], epochs=1, sparse="always", evaluate=False)
    params = case.params()
    case.module.train(params, X[::-1], Y[::-1], epochs=1, **options)
    assert same_bytes(params, others)


def test_what_is_not_a_number_shows() -> None:
    X, Y = sparse_batch(BLAS_IN_PYTHON, N, 0.1)
    X[5, 7] = np.nan
    found, _ = trained(BLAS_IN_PYTHON, X, Y, sparse="always")
    assert np.isnan(found["W1"]).any()


@pytest.mark.parametrize("case", [BLAS_IN_PYTHON, LAB_IN_PYTHON], ids=str)
@pytest.mark.parametrize("sparse", ["", "Always", True, None, 1])
def test_other_words_are_refused(case: Case, sparse: Any) -> None:
    X, Y, _ = case.batch(4)
    with pytest.raises(ValueError, match=r'sparse is .*; expected "auto", "always" or "never"'):
        trained(case, X, Y, sparse=sparse)


def test_a_small_network_takes_the_word_and_knows_one_way() -> None:
    X, Y, _ = LAB_IN_PYTHON.batch(N)
    runs = [trained(LAB_IN_PYTHON, X, Y, sparse=word)[0] for word in ("auto", "always", "never")]
    assert same_bytes(runs[0], runs[1])
    assert same_bytes(runs[0], runs[2])


SLIPS: dict[str, Callable[[Any, np.ndarray], None]] = {
    "a value changed": lambda kept, _: kept[2].__setitem__(0, kept[2][0] * (1 + 1e-6)),
    "a column changed": lambda kept, _: kept[1].__setitem__(0, (kept[1][0] + 1) % 20),
    "a sample too short": lambda kept, _: kept[0].__setitem__(1, kept[0][1] - 1),
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_the_comparison_can_fail(
    slip: Callable[[Any, np.ndarray], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = BLAS_IN_PYTHON
    X, Y = sparse_batch(case, N, 0.5)
    expected, _ = trained(case, X, Y, sparse="never")
    keep = case.module._nonzeros

    def wrong(X: np.ndarray, *given: Any) -> Any:
        kept = keep(X, *given)
        if X.size:
            slip(kept, X)
        return kept

    monkeypatch.setattr(case.module, "_nonzeros", wrong)
    found, _ = trained(case, X, Y, sparse="always")
    with pytest.raises(AssertionError):
        assert_all_near(found, expected, 1e-10)


def test_in_float32_it_is_as_near_to_float64_as_the_dense_products() -> None:
    """The error against the same run in float64, root mean square over the weights."""
    single = Case(text="161-230-3", loss="cross-entropy", dtype="float32", is_compiled=False)
    double = WIDE[1]
    X, Y = sparse_batch(single, 200, 0.19)
    start = single.params()
    errors = {}
    exact = {name: value.astype(np.float64) for name, value in start.items()}
    options: dict[str, Any] = {"epochs": 1, "batch": 100, "eta": ETA}
    double.module.train(exact, X.astype(np.float64), Y.astype(np.float64), **options)
    for sparse in ("always", "never"):
        params = {name: value.copy() for name, value in start.items()}
        single.module.train(params, X, Y, sparse=sparse, **options)
        errors[sparse] = {
            name: np.sqrt(np.mean((value - exact[name]) ** 2)) for name, value in params.items()
        }
    for name in start:
        assert 0 < errors["always"][name] <= 1.5 * errors["never"][name], (name, errors)


def two_byte_rows(X: np.ndarray) -> Any:
    """Return compressed rows whose columns take two bytes each: not SciPy's."""
    rows = csr_array(X)
    return SimpleNamespace(
        shape=X.shape,
        indptr=rows.indptr.astype(np.int64),
        indices=rows.indices.astype(np.uint16),
        data=rows.data,
    )


@pytest.mark.parametrize(("case", "threads"), [(BLAS, 1), (BLAS, 2), (WIDE[3], 2)], ids=str)
def test_compressed_rows_give_the_bits_of_the_array(case: Case, threads: int) -> None:
    X, Y = sparse_batch(case, N, 0.1)
    options: dict[str, Any] = {"threads": threads, "evaluate": True}
    for word in ("auto", "never") if case is BLAS else ("auto",):
        expected = trained(case, X, Y, test=(X[:9], Y[:9]), sparse=word, **options)
        for compress in (csr_array, two_byte_rows):
            test = compress(X[:9]), Y[:9]
            found = trained(case, compress(X), Y, test=test, sparse=word, **options)
            assert same_bytes(found[0], expected[0])
            assert found[1].tobytes() == expected[1].tobytes()


def test_what_is_made_of_compressed_rows_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    case, made = BLAS, []
    X, Y = sparse_batch(case, N, 0.1)
    one, other, make = csr_array(X), csr_array(X[::-1]), case.module._Rows
    monkeypatch.setattr(case.module, "_Rows", type("_Rows", (make,), {}))
    init = make.__init__
    monkeypatch.setattr(make, "__init__", lambda *given: made.append(1) or init(*given))
    reuse: dict[str, Any] = {}
    for rows, so_far in ((one, 1), (one, 1), (other, 2)):
        found, _ = trained(case, rows, Y, reuse=reuse)
        assert len(made) == so_far
        assert same_bytes(found, trained(case, rows.toarray(), Y)[0])


def test_one_part_alone_may_be_compressed() -> None:
    X, Y = sparse_batch(BLAS, N, 0.1)
    rows = csr_array(X)
    _, expected = trained(BLAS, X, Y, test=(X, Y))
    for train, test in ((X, rows), (rows, X)):
        _, found = trained(BLAS, train, Y, test=(test, Y))
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("threads", [1, 3])
def test_compressed_rows_are_placed_as_the_array_is(density: float, threads: int) -> None:
    """Too many of them are not: by the same rule, and then they are an array."""
    module = BLAS_IN_PYTHON.module
    X, _ = sparse_batch(BLAS_IN_PYTHON, 1100, density)
    rows = module._Rows("X", csr_array(X))
    np.testing.assert_array_equal(rows.array(), X)
    for word in ("auto", "always"):
        found, expected = (module._nonzeros(of, word, BATCH, threads) for of in (rows, X))
        np.testing.assert_array_equal(found[3], expected[3])
        of_rows, of_array = (kept[0].reshape(-1, kept[3].size) for kept in (found, expected))
        np.testing.assert_array_equal(np.diff(of_rows), np.diff(of_array))
        if of_rows.size:
            for s in range(0, 1100, 77):
                here, there = (slice(*starts[s, [0, -1]]) for starts in (of_rows, of_array))
                for kept, same in zip(found[1:3], expected[1:3], strict=True):
                    np.testing.assert_array_equal(kept[here], same[there])


def test_dense_rows_in_one_threads_share_are_too_many() -> None:
    module = BLAS_IN_PYTHON.module
    X, _ = sparse_batch(BLAS_IN_PYTHON, 1000, 1.0)
    X[:750] = 0  # a quarter in all, and half of the second share
    rows = module._Rows("X", csr_array(X))
    for threads in (1, 2):
        sizes = [module._nonzeros(of, "auto", BATCH, threads)[0].size for of in (rows, X)]
        assert (sizes[0] > 0) == (sizes[1] > 0) == (threads == 1)


def test_rows_are_read_as_such_up_to_the_share_that_kernels_take() -> None:
    assert BLAS_IN_PYTHON.module.MOST_NONZERO == sparse_rows.MOST_NONZERO


def test_compressed_rows_are_not_copied_where_their_type_is_the_modules() -> None:
    X, _ = sparse_batch(BLAS_IN_PYTHON, N, 0.1)
    rows = two_byte_rows(X)
    kept = BLAS_IN_PYTHON.module._nonzeros(BLAS_IN_PYTHON.module._Rows("X", rows), "always")
    assert np.shares_memory(kept[2], rows.data)


def _swapped(rows: Any) -> None:
    first = int(np.flatnonzero(np.diff(rows.indptr) > 1)[0])
    here = slice(rows.indptr[first], rows.indptr[first] + 2)
    rows.indices[here] = rows.indices[here][::-1].copy()


SPOILT: dict[str, Callable[[Any], Any]] = {
    "columns that do not rise": _swapped,
    "a column beyond": lambda rows: rows.indices.__setitem__(-1, 10**4),
    "a negative column": lambda rows: setattr(rows, "indices", rows.indices.astype(int) - 10**3),
    "a row that ends before it begins": lambda rows: rows.indptr.__setitem__(1, 10**4),
    "numbers that are missing": lambda rows: setattr(rows, "data", rows.data[:-1]),
    "rows that are missing": lambda rows: setattr(rows, "indptr", rows.indptr[:-1]),
    "no row at all": lambda rows: setattr(rows, "indptr", rows.indptr[:0]),
    "another start": lambda rows: rows.indptr.__setitem__(0, 1),
    "columns that are no integers": lambda rows: setattr(rows, "indices", rows.indices * 1.0),
    "starts that are no integers": lambda rows: setattr(rows, "indptr", rows.indptr + 0.5),
    "starts in a table": lambda rows: setattr(rows, "indptr", rows.indptr.reshape(1, -1)),
    "complex numbers": lambda rows: setattr(rows, "data", rows.data * 1j),
    "another width": lambda rows: setattr(rows, "shape", (N, 7)),
    "by columns": lambda rows: setattr(rows, "format", "csc"),
}


HOW_ROWS_ARE = " has shape .*csr_array|: expected .* that rise|[.][a-z]* holds .* expected a row of"


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_spoilt_rows_are_refused(spoil: Callable[[Any], Any]) -> None:
    X, Y = sparse_batch(BLAS_IN_PYTHON, N, 0.1)
    rows = two_byte_rows(X)
    trained(BLAS_IN_PYTHON, rows, Y, epochs=0)
    spoil(rows)
    with pytest.raises(ValueError, match=rf"^X({HOW_ROWS_ARE})"):
        trained(BLAS_IN_PYTHON, rows, Y)
