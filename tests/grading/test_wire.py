"""Frames between the grader and a student's process."""

import numpy as np
import pytest

from runtime.grading.wire import MAGIC, Frame, WireError, decode, encode


def reader(data: bytes):
    rest = memoryview(data)

    def read(count: int) -> bytes:
        nonlocal rest
        piece, rest = bytes(rest[:count]), rest[count:]
        if len(piece) < count:
            raise WireError("the frame ends early")
        return piece

    return read


def test_a_frame_comes_back_as_it_was() -> None:
    arrays = (np.arange(6.0).reshape(2, 3).T, np.float32(1.5), np.zeros((0, 3), bool))
    back = decode(reader(encode(Frame(body={"a": [1, "ü"]}, arrays=arrays))))
    assert back.body == {"a": [1, "ü"]}
    for new, old in zip(back.arrays, arrays, strict=True):
        assert new.dtype == np.asarray(old).dtype
        np.testing.assert_array_equal(new, old)


def framed(text: bytes) -> bytes:
    return MAGIC + len(text).to_bytes(4, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"PICKLE..",
        MAGIC + b"\xff\xff\xff\xff",
        framed(b"[" * 10_000),
        framed(b"{}"),
        framed(b'{"arrays": 3}'),
        framed(b'{"arrays": [["object", [1]]]}'),
        framed(b'{"arrays": [["float64", [-1]]]}'),
        framed(b'{"arrays": [["float64", [true]]]}'),
        framed(b'{"arrays": [["float64", [100000, 100000]]]}'),
        framed(b'{"arrays": [["float64", [1, 1, 1, 1, 1, 1, 1, 1, 1]]]}'),
        framed(b'{"arrays": [["float64", [1.5]]]}'),
        framed(b'{"arrays": [["float64", [4]]]}') + b"short",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(reader(data))
