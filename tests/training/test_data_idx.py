"""The IDX reader, and what it says about every kind of damaged file."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_folder import idx_bytes, packed
from hypothesis import given
from hypothesis import strategies as st

from runtime.data import idx
from runtime.data.idx import open_idx, parse_idx
from runtime.data.source import LIMIT, Source, read_source
from runtime.errors import InputError

IMAGES = np.random.default_rng(3).integers(0, 256, (5, 4, 3), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
PLAIN = idx_bytes(IMAGES)
PACKED = packed(PLAIN)


def parse(content: bytes, dimensions: int = 3) -> np.ndarray:
    source = Source(path=Path("some/file.gz"), content=content, sha256="")
    return parse_idx(source, dimensions=dimensions, way_out="Delete it.")


def header(*words: int) -> bytes:
    return np.array(words, dtype=">u4").tobytes()


@pytest.mark.parametrize("pack", [bytes, packed, lambda b: packed(b[:30]) + packed(b[30:])])
def test_reads_what_was_written(pack) -> None:  # type: ignore[no-untyped-def]
    images = parse(pack(idx_bytes(IMAGES)))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(parse(pack(idx_bytes(LABELS)), 1), LABELS)


DAMAGED = {
    "empty": (b"", "the file is empty"),
    "web page": (b"\n<!DOCTYPE html><html>", r"0a 3c 21 44, which looks like a web page"),
    "other format": (b"PK\3\4....", r"bytes 50 4b 03 04: neither gzip \(1f 8b\) nor IDX"),
    "header cut": (PLAIN[:15], "ends after 15 bytes, inside the header of 16"),
    "magic cut": (PLAIN[:3], "ends after 3 bytes, inside the header of 16"),
    "labels for images": (idx_bytes(LABELS), r"2049 \(labels\), expected 2051 .*exchanged"),
    "labels, packed": (packed(idx_bytes(LABELS)), r"2049 \(labels\), expected 2051 \(images\)"),
    "floats": (header(0x0D03, 1, 1, 1) + bytes(4), "elements of type 13, .* of type 8"),
    "four dimensions": (header(0x0804, 1, 1, 1, 1) + b"1", "number is 2052, expected 2051"),
    "nothing in it": (header(2051, 0, 28, 28), "0 x 28 x 28 elements: there is nothing"),
    "no pixels": (header(2051, 2**32 - 1, 0, 2**32 - 1), "there is nothing in it"),
    "truncated": (PLAIN[:-1], r"5 x 4 x 3 = 60 bytes and 59 are there \(truncated\)"),
    "truncated inside": (packed(PLAIN[:-7]), r"= 60 bytes and 53 are there \(truncated\)"),
    "gzip cut": (PACKED[:40], r"compressed data break off after 40 bytes \(truncated\)"),
    "gzip header cut": (PACKED[:5], r"break off after 5 bytes \(truncated\)"),
    "gzip trailer cut": (PACKED[:-3], r"break off after \d+ bytes \(truncated\)"),
    "gzip checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "damaged .CRC check failed"),
    "gzip flipped": (PACKED[:30] + b"\xff\xff\xff" + PACKED[33:], "compressed data are damaged"),
    "gzip, then rubbish": (PACKED + b"rubbish", "compressed data are damaged"),
    "trailing": (PLAIN + b"x", "goes on after the 5 x 4 x 3 = 60 bytes of its header"),
    "trailing inside": (packed(PLAIN + b"x"), "goes on after the 5 x 4 x 3 = 60 bytes"),
    "too large": (header(2051, 2**21, 28, 28), f"= {2**21 * 784} bytes; at most {LIMIT}"),
    "overflow": (header(2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), "at most 1073741824 are read"),
    "overflow to 0": (header(2051, 2**31, 2**31, 4), "at most 1073741824 are read"),
}


@pytest.mark.parametrize(("content", "expected"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_named(content: bytes, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        parse(content)
    message = str(caught.value)
    assert message.startswith("some/file.gz: ")
    assert message.endswith(". Delete it.")
    assert "\n" not in message


def read_in_pieces(path: Path, content: bytes, dimensions: int = 3) -> np.ndarray:
    path.write_bytes(content)
    with open_idx(path, dimensions=dimensions, way_out="Delete it.") as file:
        pieces, again = list(file.pieces()), list(file.pieces())
    np.testing.assert_array_equal(np.concatenate(pieces), np.concatenate(again))
    assert np.concatenate(pieces).shape == file.shape
    return np.concatenate(pieces)


@pytest.mark.parametrize("pack", [bytes, packed, lambda b: packed(b[:30]) + packed(b[30:])])
def test_pieces_are_what_was_written(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bytes_of_a_piece in (1, 24, 59, 60, 10**6):  # one image, two, four, and all
        monkeypatch.setattr(idx, "_PIECE", bytes_of_a_piece)
        found = read_in_pieces(tmp_path / "set", pack(idx_bytes(IMAGES)))
        np.testing.assert_array_equal(found, IMAGES)
    np.testing.assert_array_equal(
        read_in_pieces(tmp_path / "set", pack(idx_bytes(LABELS)), 1), LABELS
    )


@pytest.mark.parametrize(("content", "expected"), DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("bytes_of_a_piece", [12, 1 << 20])
def test_damage_is_named_when_it_is_met(
    content: bytes,
    expected: str,
    bytes_of_a_piece: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idx, "_PIECE", bytes_of_a_piece)
    with pytest.raises(InputError, match=expected) as caught:
        read_in_pieces(tmp_path / "file.gz", content)
    assert str(caught.value).endswith(". Delete it.")


@pytest.mark.parametrize("pack", [bytes, packed])
def test_a_header_that_announces_too_much_is_met_before_room_is_made(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "set"
    path.write_bytes(pack(header(2051, 1_000_000, 28, 28) + bytes(100)))
    with (
        pytest.raises(InputError, match=r"784000000 bytes and (at most \d+|100) are there"),
        open_idx(path, dimensions=3, way_out="Delete it."),
    ):
        pytest.fail("it was opened")


@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_ends_in_a_message_or_an_array(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(PLAIN if seed % 2 else PACKED)
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content))] = rng.integers(256)
    try:
        found = parse(bytes(content[: rng.integers(len(content) + 1)]))
    except InputError:
        return
    assert found.size == IMAGES.size  # nothing shorter or longer passes


def peak_of_refusing(content: bytes) -> int:
    """Return the bytes of memory at the height of refusing `content`."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            parse(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_follows_what_is_there_not_the_header() -> None:
    announced = header(2051, 1_000_000, 28, 28)
    assert peak_of_refusing(announced + bytes(100)) < 4_000_000
    assert peak_of_refusing(packed(announced + bytes(100))) < 4_000_000


def test_unpacking_stops_where_the_header_says() -> None:
    bomb = gzip.compress(PLAIN + bytes(50_000_000), compresslevel=1)
    assert peak_of_refusing(bomb) < 4_000_000


def test_source_is_hashed_as_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    source = read_source(tmp_path / "a")
    assert source.content == b"abc"
    assert source.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert "abc" not in repr(source).replace(source.sha256, "")


def test_sources_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(11))
    with pytest.raises(InputError, match=r"long: has 11 bytes; files of at most 10 are read"):
        read_source(tmp_path / "long", limit=10)
    with (tmp_path / "sparse").open("wb") as out:
        out.truncate(LIMIT)
    tracemalloc.start()
    with pytest.raises(InputError, match=f"sparse: has {LIMIT} bytes"):
        read_source(tmp_path / "sparse", limit=10)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    with pytest.raises(InputError, match=r"none: there is no such file"):
        read_source(tmp_path / "none")
    with pytest.raises(InputError, match=r"it is a folder"):
        read_source(tmp_path)
    with pytest.raises(InputError, match=r"/dev/zero: it is not a regular file"):
        read_source(Path("/dev/zero"))
    with pytest.raises(InputError, match=r"long/below: cannot be read: .* not a folder"):
        read_source(tmp_path / "long" / "below")
