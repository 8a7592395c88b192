"""Weights on disk: equal runs give equal bytes, and a damaged file is never believed."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mounts
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from runtime.errors import InputError, InternalError, RunError
from runtime.model_file import load_model, model_bytes, save_model

RNG = np.random.default_rng(0)
PARAMS = {
    "W1": RNG.normal(size=(3, 2)).astype(np.float32),
    "b1": np.array([0.0, np.nan, -np.inf], dtype=np.float32),
    "W2": RNG.normal(size=(2, 3)).astype(np.float32),
    "b2": np.zeros(2, dtype=np.float32),
}
META: dict[str, Any] = {"spec": "2-3-2", "loss": "cross-entropy", "seeds": {"seed": 0, "data": 1}}
SHAPES = {name: array.shape for name, array in PARAMS.items()}


def raw(header: dict[str, Any], data: bytes = b"") -> bytes:
    """Return a file in the format's own terms, right or wrong."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(**changes: Any) -> dict[str, str]:
    return {"gradwright": json.dumps({"format": 1, "sha256": None} | changes)}


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    save_model(tmp_path / "m", PARAMS, META)
    params, meta = load_model(tmp_path / "m", SHAPES)
    assert meta == META
    assert list(params) == ["W1", "W2", "b1", "b2"]
    for name, array in PARAMS.items():
        assert params[name].dtype == array.dtype
        np.testing.assert_array_equal(params[name], array)
        params[name] += 1  # the caller's own, and not a view of the file
    np.testing.assert_array_equal(load_model(tmp_path / "m")[0]["W1"], PARAMS["W1"])


def test_is_what_other_programs_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, PARAMS, META)
    for name, array in load_file(path).items():
        np.testing.assert_array_equal(array, PARAMS[name])
    with safe_open(path, framework="numpy") as stored:
        metadata = stored.metadata()
    assert list(metadata) == ["gradwright"]
    content = json.loads(metadata["gradwright"])
    assert content["spec"] == "2-3-2"
    assert list(content) == sorted(content) == ["format", "loss", "seeds", "sha256", "spec"]


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    save_model(tmp_path / "a", PARAMS, META)
    save_model(
        tmp_path / "b",
        dict(reversed(PARAMS.items())),
        {"seeds": {"data": 1, "seed": 0}, "loss": "cross-entropy", "spec": "2-3-2"},
    )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() == model_bytes(PARAMS, META)


def test_unequal_runs_give_unequal_bytes() -> None:
    other = PARAMS | {"b2": np.array([0, 1e-45], dtype=np.float32)}
    assert len({model_bytes(PARAMS, META), model_bytes(other, META), model_bytes(PARAMS, {})}) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint64])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 2)])
def test_every_dtype_and_shape(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    save_model(tmp_path / "m", {"a": array}, {})
    found = load_model(tmp_path / "m", {"a": shape})[0]["a"]
    assert (found.dtype, found.shape) == (array.dtype, shape)
    np.testing.assert_array_equal(found, array)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "column-major": np.asfortranarray,
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "strided": lambda array: np.repeat(array, 2, axis=0)[::2],
    "reversed": lambda array: array[::-1].copy()[::-1],
    "big-endian": lambda array: array.astype(">f4"),
    "read-only": lambda array: np.frombuffer(array.tobytes(), np.float32).reshape(array.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_in_memory_does_not_matter(layout: Callable[[np.ndarray], np.ndarray]) -> None:
    array = layout(PARAMS["W1"])
    np.testing.assert_array_equal(array, PARAMS["W1"])
    assert model_bytes(PARAMS | {"W1": array}, META) == model_bytes(PARAMS, META)


def assert_refused(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # faster than to truncate it
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        load_model(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_cut_short_anywhere(tmp_path: Path) -> None:
    whole = model_bytes({"W": PARAMS["W1"]}, {})
    for length in range(len(whole)):
        assert_refused(tmp_path / "m", whole[:length])


def test_damaged_anywhere(tmp_path: Path) -> None:
    whole = model_bytes({"W": PARAMS["W1"]}, {})
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= (0x01, 0x20, 0xFF)[place % 3]
        assert_refused(tmp_path / "m", damaged)


def test_longer_than_it_says(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(model_bytes(PARAMS, META) + b"\0")
    with pytest.raises(InputError, match="damaged or cut short"):
        load_model(tmp_path / "m")


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
FOREIGN = {
    "another program": (raw({"a": A}, bytes(8)), 'no metadata entry "gradwright"'),
    "another program's metadata": (
        raw({"__metadata__": {"format": "pt"}, "a": A}, bytes(8)),
        'no metadata entry "gradwright"',
    ),
    "no JSON inside": (raw({"__metadata__": {"gradwright": "{"}}), "metadata is not JSON"),
    "nested too deep": (
        raw({"__metadata__": {"gradwright": "[" * 100_000}}),
        "metadata is not JSON",
    ),
    "a list inside": (raw({"__metadata__": {"gradwright": "[]"}}), "metadata is incomplete"),
    "no format": (raw({"__metadata__": {"gradwright": "{}"}}), "metadata is incomplete"),
    "newer": (raw({"__metadata__": entry(format=2)}), "written in format 2, and this version"),
    "strange format": (raw({"__metadata__": entry(format="\n")}), r'written in format "\\n"'),
    "another dtype": (
        raw({"__metadata__": entry(), "a": A | {"dtype": "BF16", "shape": [4]}}, bytes(8)),
        "a has type BF16; expected one of F32, F64",
    ),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "damaged or cut short"),
    "huge array": (
        raw({"__metadata__": entry(), "a": A | {"shape": [2**40], "data_offsets": [0, 2**42]}}),
        "damaged or cut short",
    ),
    "size that overflows": (
        raw({"__metadata__": entry(), "a": A | {"shape": [2**62, 2**62]}}, bytes(8)),
        "damaged or cut short",
    ),
    "pickle": (b"\x80\x04\x95" + bytes(100), "damaged or cut short"),
    "text": (b"W1 = 3\n" * 10, "damaged or cut short"),
}


@pytest.mark.parametrize(("content", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_foreign_file(tmp_path: Path, content: bytes, reason: str) -> None:
    assert_refused(tmp_path / "m", content)
    with pytest.raises(InputError, match=reason):
        load_model(tmp_path / "m")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_model(tmp_path / "m")
    with pytest.raises(InputError, match="not an ordinary file"):
        load_model(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="the file is empty"):
        load_model(tmp_path / "empty")


def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not an ordinary file"):
        load_model(tmp_path / "pipe")


WRONG = {
    "transposed": (SHAPES | {"W1": (2, 3)}, r"W1 has shape \(3, 2\), expected \(2, 3\)"),
    "other rank": (SHAPES | {"b1": (3, 1)}, r"b1 has shape \(3,\), expected \(3, 1\)"),
    "one more": (SHAPES | {"W3": (2, 2)}, r"W3 \(2, 2\) is missing"),
    "one less": ({name: SHAPES[name] for name in ("W1", "b1", "W2")}, "holds b2, which"),
}


@pytest.mark.parametrize(("shapes", "reason"), WRONG.values(), ids=WRONG)
def test_model_of_another_network(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], reason: str
) -> None:
    save_model(tmp_path / "m", PARAMS, META)
    with pytest.raises(InputError, match=reason):
        load_model(tmp_path / "m", shapes)


def test_changed_on_purpose(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_model(path, PARAMS, META)
    with safe_open(path, framework="numpy") as stored:
        metadata = stored.metadata()
    pruned = PARAMS | {"W1": np.zeros((3, 2), dtype=np.float32)}
    save_file(pruned, path, metadata=metadata)
    with pytest.raises(InputError, match=r'checksum .* set "sha256" in its metadata to null'):
        load_model(path)
    content = json.loads(metadata["gradwright"]) | {"sha256": None}
    save_file(pruned, path, metadata={"gradwright": json.dumps(content)})
    params, meta = load_model(path, SHAPES)
    assert not params["W1"].any()
    assert meta == META


@pytest.mark.parametrize(
    ("params", "meta"),
    [
        ({"a": np.zeros(1, dtype=np.complex128)}, {}),
        ({"a": np.array(["text"])}, {}),
        ({}, {"format": 3}),
        ({}, {"sha256": ""}),
        ({}, {"loss": float("nan")}),
        ({}, {"path": Path("a")}),
    ],
)
def test_what_does_not_fit_is_our_own_mistake(
    params: dict[str, np.ndarray], meta: dict[str, Any]
) -> None:
    with pytest.raises(InternalError):
        model_bytes(params, meta)


def test_full_disk_keeps_the_old_model(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk") as disk:
        save_model(disk / "m", PARAMS, META)
        with pytest.raises(RunError, match="the disk is full"):
            save_model(disk / "m", {"W1": np.zeros((300, 300))}, META)
        assert load_model(disk / "m", SHAPES)[1] == META
        assert [path.name for path in disk.iterdir()] == ["m"]
