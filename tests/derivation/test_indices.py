"""Index names: no capture, and one canonical form."""

from sympy import exp

from derive.indices import canonical, fresh, open_sum, rename, target_indices
from derive.program import BATCH, Sum, Tensor, index, size

A = Tensor(name="A", shape=(BATCH, size(4)))
V = Tensor(name="V", shape=(size(4),))
i, j, k, m = map(index, "ijkm")


def test_renaming_does_not_touch_what_a_sum_binds() -> None:
    total = Sum(A[i, k], (k, 0, 3))
    assert rename(total * A[i, k], {k: j}) == total * A[i, j]
    assert rename(total, {i: m}) == Sum(A[m, k], (k, 0, 3))


def test_opening_a_sum_gives_an_index_that_is_nowhere_else() -> None:
    inner = Sum(V[k] * Sum(A[i, m] * V[k], (m, 0, 3)), (k, 0, 3))
    body, ((symbol, extent),) = open_sum(inner)
    assert extent == 4
    assert symbol not in inner.atoms()
    assert body == V[symbol] * Sum(A[i, m] * V[symbol], (m, 0, 3))


def test_canonical_names_do_not_depend_on_the_names_before() -> None:
    a, b = fresh(), fresh()
    first = Sum(Sum(A[i, a] * V[b], (a, 0, 3)), (b, 0, 3))
    second = Sum(Sum(A[i, k] * V[m], (k, 0, 3)), (m, 0, 3))
    assert canonical(first, (i,)) == canonical(second, (i,))


def test_canonical_is_idempotent_and_avoids_free_indices() -> None:
    a = fresh()
    expression = exp(A[i, j]) / Sum(exp(A[i, a]), (a, 0, 3)) * Sum(V[a], (a, 0, 3))
    once = canonical(expression, (i, j))
    assert canonical(once, (i, j)) == once
    assert {limit[0] for total in once.atoms(Sum) for limit in total.limits} == {k}


def test_nested_sums_get_different_names() -> None:
    a, b = fresh(), fresh()
    once = canonical(Sum(V[a] * Sum(V[b] * V[a], (b, 0, 3)), (a, 0, 3)), ())
    assert once == Sum(V[j] * Sum(V[k] * V[j], (k, 0, 3)), (j, 0, 3))


def test_the_batch_is_i_and_two_equal_axes_differ() -> None:
    assert target_indices((BATCH, size(3))) == (i, j)
    assert target_indices((size(3), size(3))) == (j, k)
    assert target_indices(()) == ()
