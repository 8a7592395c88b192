"""How much of an ONNX file is numbers, told from its bytes before a parser makes objects of them.

A field of two bytes can become an object of a hundred, so that a file of some megabytes could
fill the memory. Numbers stay as large as they are; everything else is limited.

References
----------
.. [1] https://protobuf.dev/programming-guides/encoding, the wire format.
.. [2] https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, the numbers of the fields.
"""

from runtime.errors import InputError

MOST_STRUCTURE = 2 << 20  # bytes that are not numbers; a layer takes some hundred
_DAMAGED = "damaged or cut short, or no ONNX file. Export the network again."

# message -> field -> the message in it; the numbers of a tensor are counted as such
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "tensor": {4: "numbers", 9: "numbers", 10: "numbers"},
}


def refuse_bloated(content: bytes) -> None:
    """Raise `InputError` if an ONNX file has too much that is not numbers, or is damaged."""
    _walk(memoryview(content), "model", 0)


def _walk(view: memoryview, kind: str, structure: int) -> int:
    """Return `structure`, and the bytes in a message that are no numbers."""
    place = 0
    while place < len(view):
        start = place
        key, place = _varint(view, place)
        inside = None
        match key & 7:
            case 0:  # a number of variable length
                _, place = _varint(view, place)
            case 1:
                place += 8
            case 5:
                place += 4
            case 2:  # its length, and so many bytes
                length, place = _varint(view, place)
                inside = _INSIDE[kind].get(key >> 3)
                place += length
            case _:  # groups, which ONNX has none of
                raise InputError(_DAMAGED)
        if place > len(view):
            raise InputError(_DAMAGED)
        if inside is None:
            structure += place - start
        else:
            structure += place - start - length
            if inside != "numbers":
                structure = _walk(view[place - length : place], inside, structure)
        if structure > MOST_STRUCTURE:
            raise InputError(
                f"more than {MOST_STRUCTURE >> 20} MB of it are not weights: no dense network."
            )
    return structure


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    value = shift = 0
    while place < len(view) and shift < 64:
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise InputError(_DAMAGED)
