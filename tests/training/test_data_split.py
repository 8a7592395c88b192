"""The rows that are held out, and inputs that are scaled: by the training part alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bad_data import archive
from command_line import environment

import runtime
from runtime.data.catalogue import SETS, choose
from runtime.data.options import DataOptions
from runtime.data.planar import PLANAR, planar_set
from runtime.data.scaling import Scaling, fit_scaling
from runtime.data.split import checked_fraction, held_out
from runtime.errors import InputError

# ------------------------------------------------------------------- the split


def test_every_class_keeps_its_share() -> None:
    codes = np.repeat([0, 1, 2, 3], [500, 300, 195, 5])
    chosen = held_out(1000, np.random.default_rng(0).permutation(codes), 0.2, 0, "x")
    assert chosen.sum() == 200
    rng = np.random.default_rng(1)
    for _ in range(50):
        codes = rng.integers(0, rng.integers(2, 9), rng.integers(20, 200))
        fraction = rng.uniform(0.05, 0.9)
        chosen = held_out(len(codes), codes, fraction, 0, "x")
        assert abs(chosen.sum() - fraction * len(codes)) <= max(1, len(np.unique(codes)))
        for code in np.unique(codes):
            group = codes == code
            assert 0 <= (chosen & group).sum() < group.sum()
            assert abs((chosen & group).sum() - fraction * group.sum()) <= 1


def test_the_split_follows_from_the_seed() -> None:
    codes = np.arange(100) % 3
    first, again = (held_out(100, codes, 0.2, 5, "x") for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, held_out(100, codes, 0.2, 6, "x"))
    # frozen: these rows must be the same in every version, or no run could be repeated
    assert np.flatnonzero(held_out(10, None, 0.3, 0, "x")).tolist() == [2, 4, 6]


def test_without_classes_any_row_may_be_drawn() -> None:
    drawn = sum(held_out(10, None, 0.3, seed, "x").astype(int) for seed in range(200))
    assert drawn.sum() == 600
    assert drawn.min() > 30


@pytest.mark.parametrize("value", [0, 1, -0.1, float("nan"), float("inf"), True])
def test_shares_that_cannot_be(value: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1, such as 0"):
        checked_fraction(value)
    assert checked_fraction(None) == 0.2


# ------------------------------------------------------------------- scaling


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_scaling_brings_columns_to_one_scale(kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 3)) * [1e-3, 1, 1e6] + [5, 0, -1e9]
    X = np.column_stack([X, np.full(5000, 0.1)])
    scaling = fit_scaling(X, kind)
    assert scaling is not None
    scaled = X.copy()
    scaling.apply(scaled)
    if kind == "minmax":
        assert scaled[:, :3].min(axis=0).tolist() == [0, 0, 0]
        assert scaled[:, :3].max(axis=0).tolist() == [1, 1, 1]
    else:
        np.testing.assert_allclose(scaled[:, :3].mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(scaled[:, :3].std(axis=0), 1, rtol=1e-9)
        np.testing.assert_allclose(scaling.unit[:3], X[:, :3].std(axis=0), rtol=1e-12)
    assert (scaled[:, 3] == 0).all()  # a constant column
    again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())), 4, "x")
    other = X.copy()
    again.apply(other)
    assert np.array_equal(other, scaled)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"kind": "standard", "shift": [0.0], "unit": [1.0]},
        {"kind": "standard", "shift": [0.0, "1"], "unit": [1.0, 1.0]},
        {"kind": "standard", "shift": [0.0, 0.0], "unit": [1.0, 0.0]},
        {"kind": "other", "shift": [0.0, 0.0], "unit": [1.0, 1.0]},
        {"kind": "standard", "shift": [0.0, 0.0], "unit": [1.0, 1.0], "more": 1},
    ],
)
def test_scaling_that_is_none(content: object) -> None:
    with pytest.raises(InputError, match="scaling"):
        Scaling.from_json(content, 2, "model.safetensors")


def test_the_test_part_is_scaled_by_the_training_part(tmp_path: Path) -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    path = tmp_path / "a.npz"
    path.write_bytes(archive(Xtrain=X, Ytrain=y, Xtest=X + 100, Ytest=y))
    data = choose(str(path)).load(DataOptions(scale="minmax", dtype="float64"))
    np.testing.assert_allclose(data.X_train, (X - X.min(axis=0)) / 38)
    np.testing.assert_allclose(data.X_test, (X + 100 - X.min(axis=0)) / 38)
    assert data.options["scale"] == "minmax"


def test_a_named_set_is_scaled_too() -> None:
    data = SETS["circles"].load(DataOptions(scale="standard", dtype="float32"))
    np.testing.assert_allclose(data.X_train.std(axis=0), 1, rtol=1e-6)
    assert data.grid is None


# ------------------------------------------------------------------- sets in the plane


@pytest.mark.parametrize("name", PLANAR)
def test_sets_in_the_plane(name: str) -> None:
    data, again, other = planar_set(name, 3), planar_set(name, 3), planar_set(name, 4)
    assert data.X_train.shape == data.X_test.shape == (200, 2)
    assert np.array_equal(data.X_train, again.X_train)
    assert not np.array_equal(data.X_train, other.X_train)
    assert not np.array_equal(data.X_train, data.X_test)
    assert dict(data.sources) == dict(again.sources) != dict(other.sources)
    assert (data.X_train.shape[1], data.Y_train.shape[1]) == SETS[name].shape
    with pytest.raises(InputError, match="data seed -1"):
        planar_set(name, -1)


def test_what_the_sets_are() -> None:
    data = planar_set("xor")
    signs = np.sign(data.X_train[:, 0]) == np.sign(data.X_train[:, 1])
    assert np.array_equal(signs, data.Y_train[:, 0] == 1)
    assert np.abs(data.X_train).min() >= 0.1
    data = planar_set("blobs")
    centres = [data.X_train[data.Y_train[:, k] == 1].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(centres, [[0, 1.5], [-1.3, -0.75], [1.3, -0.75]], atol=0.25)
    data = planar_set("moons")
    for k, centre in enumerate(([0, 0], [1, 0.5])):
        distance = np.linalg.norm(data.X_train[data.Y_train[:, k] == 1] - centre, axis=1)
        assert abs(distance.mean() - 1) < 0.05
    data = planar_set("spirals")
    r = np.linalg.norm(data.X_train, axis=1)
    assert r[0] < 0.4
    assert abs(r[99] - 1.3) < 0.2
    np.testing.assert_allclose(data.X_train[:100], -data.X_train[100:], atol=0.4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"), [("moons", 0.96), ("spirals", 0.95), ("blobs", 0.95), ("xor", 0.98)]
)
def test_the_default_network_learns_them(name: str, least: float) -> None:
    found = [
        runtime.train(name, seed=seed, data_seed=seed).history.test_accuracy[-1]
        for seed in range(5)
    ]
    assert np.median(found) >= least


# ------------------------------------------------------------------- memory

_MEASURE = """
import resource, sys
import numpy as np
from runtime.data.catalogue import choose
from runtime.data.options import DataOptions

def load(path):
    data = choose(path).load(DataOptions(dtype="float32", scale=sys.argv[3]))
    return data.X_train.nbytes + data.X_test.nbytes

load(sys.argv[1])  # whatever is imported late
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = load(sys.argv[2])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / size)
"""


@pytest.mark.parametrize(
    ("scale", "fortran"),
    [("standard", False), pytest.param("none", True, marks=pytest.mark.slow)],
)
def test_inputs_are_in_memory_once(scale: str, fortran: bool, tmp_path: Path) -> None:
    """50,000 x 100 in float64 on disk, float32 in memory: at most 1.3 times the latter."""
    X = np.random.default_rng(0).normal(size=(50_000, 100))
    X = np.asfortranarray(X) if fortran else X
    np.savez(tmp_path / "big.npz", X=X, y=np.arange(50_000) % 3)
    np.savez(tmp_path / "small.npz", X=X[:100], y=np.arange(100) % 3)
    paths = [str(tmp_path / name) for name in ("small.npz", "big.npz")]
    # in a child of a child: a process begins with the peak of the one that it was forked from
    script = [sys.executable, "-P", "-c", _MEASURE, *paths, scale]
    fork = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", fork, *script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert 0.7 < float(done.stdout) <= 1.3
