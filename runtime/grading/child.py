"""The process that runs a student's file: it is given inputs, and gives numbers back.

It knows no answer. It isolates itself (`runtime.grading.isolation`), loads those statements of
the file that it is told to, calls functions with what it is given, and sends back what they
return, what their arguments hold afterwards, and what stood in their variables, as raw bytes
(`runtime.grading.wire`). The file's code shares this process, so nothing that comes out of it
is trusted; only numbers are taken from it, and who compares them is elsewhere.

Requests, by their ``"do"``:

``load``    run the statements of a source text whose numbers are given, one by one
``call``    call a function; arguments are described as in `_Values.built`
``slopes``  call ``.backward()`` on a kept loss and return ``.grad`` of kept parameters
"""

import ast
import contextlib
import importlib.abc
import os
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, final

import numpy as np

from runtime.grading.isolation import end_with_parent, enter_namespaces, set_limits
from runtime.grading.system_calls import refuse_calls
from runtime.grading.wire import (
    DTYPES,
    MOST_BYTES,
    NOT_RUN,
    Array,
    Frame,
    WireError,
    decode,
    encode,
)

FILE = "<student>"
PACKAGES = ("derive", "codegen", "runtime")  # what a file has no business to import
LIBRARIES = ("torch",)  # what may be loaded before the file's time begins
_MOST_DEPTH, _MOST_ENTRIES, _LONGEST = 4, 300, 300


def main() -> None:
    """Isolate this process, then answer requests until there are none."""
    source, sink = _descriptors()
    request = decode(source).body
    missing = enter_namespaces(request["hidden"], request["folder"])
    end_with_parent()
    os.chdir(request["folder"])
    for library in request["libraries"]:
        if library in LIBRARIES:
            with contextlib.suppress(ImportError):
                import_module(library)
    spent = int(time.process_time())
    set_limits(seconds=request["seconds"] + spent, memory=request["memory"], processes=64)
    refused = refuse_calls(files=missing is not None)
    if not refused and request["strict"]:
        sys.exit(NOT_RUN)
    _forget_ourselves()
    _OURS.append(os.getpid())
    sink(Frame(body={"ready": True, "missing": missing, "refused": refused}))
    student = _Student()
    while True:
        frame = decode(source)
        sink(student.answer(frame))


def _descriptors() -> tuple[Callable[[int], bytes], Callable[[Frame], None]]:
    """Return how to read bytes and to write frames; the standard streams lead nowhere then."""
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)

    def read(count: int) -> bytes:
        pieces = []
        while count:
            piece = os.read(requests, count)
            if not piece:
                os._exit(0)  # nobody asks any more
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def write(frame: Frame) -> None:
        data = memoryview(encode(frame))
        while data:
            data = data[os.write(answers, data) :]

    return read, write


def _forget_ourselves() -> None:
    """Let the file's imports not find this project, which could do its work."""

    class _Refusal(importlib.abc.MetaPathFinder):
        def find_spec(
            self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
        ) -> None:
            del path, target
            if name.partition(".")[0] in PACKAGES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in list(sys.modules):
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]
    sys.meta_path.insert(0, _Refusal())


@final
class _Statement(importlib.abc.InspectLoader):
    """Runs one statement of the file in a module; its lines stay those of the file."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    def get_source(self, fullname: str) -> None:
        """Return nothing: there is a tree in its place."""
        del fullname

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the compiled statement."""
        del fullname
        tree: Any = self.tree  # a syntax tree is as good as source to `compile`
        return self.source_to_code(tree, FILE)


@final
class _Student:
    """The file's functions, and what their calls have left."""

    def __init__(self) -> None:
        self.module = types.ModuleType("student")
        sys.modules["student"] = self.module
        self.kept: dict[str, Any] = {}

    def answer(self, frame: Frame) -> Frame:
        """Do what a request asks for."""
        values = _Values(frame.arrays, self.kept)
        match frame.body["do"]:
            case "load":
                body = self._load(frame.body)
            case "call":
                body = self._call(frame.body, values)
            case _:
                body = self._slopes(frame.body, values)
        return Frame(body=body, arrays=tuple(values.sent))

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        statements = ast.parse(request["source"]).body
        future = [
            s for s in statements if isinstance(s, ast.ImportFrom) and s.module == "__future__"
        ]
        failures = []
        for number in request["statements"]:
            statement = statements[number]
            if statement in future:
                continue
            try:
                tree = ast.Module(body=[*future, statement], type_ignores=[])
                _Statement(tree).exec_module(self.module)
            except BaseException as error:  # noqa: BLE001  # a file may raise anything
                failures.append({"line": statement.lineno, **_told(error)})
        if "torch" in sys.modules:
            with contextlib.suppress(RuntimeError, AttributeError):
                sys.modules["torch"].set_num_threads(1)
        return {"failures": failures}

    def _call(self, request: Mapping[str, Any], values: "_Values") -> dict[str, Any]:
        try:
            function = getattr(self.module, request["function"])
            arguments = [values.built(argument) for argument in request["arguments"]]
        except BaseException as error:  # noqa: BLE001
            return {"error": _told(error)}
        watch = _Watch()
        if request.get("watch"):
            sys.settrace(watch)
        try:
            result = function(*arguments)
        except BaseException as error:  # noqa: BLE001
            sys.settrace(None)
            _end_if_forked()
            return {"error": _told(error), "lines": values.recorded(watch.records)}
        sys.settrace(None)
        _end_if_forked()
        if name := request.get("keep"):
            self.kept[name] = result
            for place, argument in enumerate(arguments):
                self.kept[f"{name}.{place}"] = argument
        try:
            return {
                "value": values.described(result),
                "arguments": [values.described(argument) for argument in arguments],
                "lines": values.recorded(watch.records),
            }
        except BaseException as error:  # noqa: BLE001  # what it returns may do anything, too
            return {"error": _told(error)}

    def _slopes(self, request: Mapping[str, Any], values: "_Values") -> dict[str, Any]:
        try:
            loss = self.kept[request["loss"]]
            loss = loss[0] if isinstance(loss, (tuple, list)) else loss
            loss.backward()
            parameters = self.kept[request["parameters"]]
            return {"value": values.described({k: v.grad for k, v in parameters.items()})}
        except BaseException as error:  # noqa: BLE001
            return {"error": _told(error)}


@final
class _Watch:
    """Notes which array every line of the file sets, while one of its functions runs.

    A dictionary's arrays go by its name and the key: ``grads["Wh"]``.
    """

    def __init__(self) -> None:
        self.records: list[tuple[int, str, Array]] = []
        self._known: dict[tuple[int, str], bytes] = {}
        self._line: dict[int, int] = {}

    def __call__(self, frame: types.FrameType, event: str, argument: object) -> Any:
        """Follow the calls of the file's own functions."""
        del event, argument
        return self._local if frame.f_code.co_filename == FILE else None

    def _local(self, frame: types.FrameType, event: str, argument: object) -> Any:
        del argument
        if len(self.records) < _MOST_ENTRIES:
            place = id(frame)
            # what goes wrong here must not look as if it went wrong in the file
            with contextlib.suppress(BaseException):
                self._look(frame, self._line.get(place))
            self._line[place] = frame.f_lineno
            if event == "return":
                self._line.pop(place, None)
        return self._local

    def _look(self, frame: types.FrameType, line: int | None) -> None:
        """Note what differs from what was there at the event before."""
        for name, value in list(frame.f_locals.items()):
            entries = [(name, value)]
            if type(value) is dict:
                entries = [(f'{name}["{key}"]', entry) for key, entry in list(value.items())[:40]]
            for called, entry in entries:
                plain = _plain(entry)
                if plain is None or plain.size > 4000:
                    continue
                print_ = plain.tobytes() + repr(plain.shape).encode()
                if self._known.get((id(frame), called)) == print_:
                    continue
                self._known[id(frame), called] = print_
                if line is not None:  # else it was given
                    self.records.append((line, called[:_LONGEST], plain))


def _plain(value: Any) -> Array | None:
    """Return a copy of an array's or a tensor's numbers; None for anything else."""
    if type(value) in (np.ndarray, float, np.float64, np.float32):
        return np.array(value)
    if type(value).__module__ == "torch" and type(value).__name__ == "Tensor":
        plain = value.detach()
        return np.array(plain.float().numpy() if "bfloat" in str(plain.dtype) else plain.numpy())
    return None


@final
class _Values:
    """Turns descriptions into arguments, and what comes back into descriptions."""

    def __init__(self, arrays: Sequence[Array], kept: Mapping[str, Any]) -> None:
        self.given = arrays
        self.kept = kept
        self.sent: list[Array] = []
        self.bytes = 0

    def built(self, what: Mapping[str, Any]) -> Any:
        """Return the argument of a description: one of the keys below, and how it is stored."""
        if "array" in what:
            return self._array(what)
        if "number" in what:
            return what["number"]
        if "list" in what:
            return [self.built(entry) for entry in what["list"]]
        if "kept" in what:
            value = self.kept[what["kept"]]
            if "slopes" in what:
                self._add_slopes(value, what["slopes"]["dict"])
            return value[what["item"]] if "item" in what else value
        base = dict(self.built(what["over"])) if "over" in what else {}
        return base | {key: self.built(entry) for key, entry in what["dict"]}

    def _array(self, what: Mapping[str, Any]) -> Any:
        array = np.array(self.given[what["array"]])
        if what["kind"] == "numpy":
            return array
        import torch  # only where the file itself computes with it

        tensor = torch.from_numpy(array)
        if what.get("dtype"):
            tensor = tensor.to(getattr(torch, what["dtype"]))
        if what.get("tracked"):
            tensor.requires_grad_()
        if "slope" in what:
            tensor.grad = torch.from_numpy(np.array(self.given[what["slope"]])).to(tensor.dtype)
        return tensor

    def _add_slopes(self, parameters: Mapping[str, Any], slopes: Sequence[Any]) -> None:
        """Do to ``.grad`` what another ``backward()`` would."""
        for key, entry in slopes:
            tensor = parameters[key]
            if tensor.requires_grad and tensor.is_leaf:
                slope = self._array(entry).to(tensor.dtype)
                tensor.grad = slope if tensor.grad is None else tensor.grad + slope

    def described(self, value: Any, depth: int = 0) -> dict[str, Any]:
        """Return what a value is, with its numbers among the arrays that are sent."""
        if value is None:
            return {"is": "none"}
        if isinstance(value, dict) and depth < _MOST_DEPTH:
            items = list(value.items())[:_MOST_ENTRIES]
            return {
                "is": "dict",
                "items": [[str(k)[:_LONGEST], self.described(v, depth + 1)] for k, v in items],
            }
        if isinstance(value, tuple | list) and depth < _MOST_DEPTH:
            entries = [self.described(entry, depth + 1) for entry in value[:_MOST_ENTRIES]]
            return {"is": "list", "items": entries}
        if isinstance(value, bool | int | float | np.ndarray | np.generic):
            return self._sent(np.asarray(value), {"kind": "numpy"})
        if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
            facts = {
                "kind": "torch",
                "dtype": str(value.dtype).removeprefix("torch."),
                "tracked": bool(value.requires_grad),
                "leaf": bool(value.is_leaf),
                "slope": self.described(value.grad, depth + 1) if value.is_leaf else None,
            }
            plain = value.detach()
            wide = plain.float() if facts["dtype"] == "bfloat16" else plain
            return self._sent(wide.cpu().numpy(), facts)
        return {"is": "other", "type": type(value).__name__[:_LONGEST]}

    def recorded(self, records: Sequence[tuple[int, str, Array]]) -> list[list[Any]]:
        """Return what each line set, as line, name and value."""
        return [[line, name, self._sent(value, {"kind": "numpy"})] for line, name, value in records]

    def _sent(self, array: Array, facts: dict[str, Any]) -> dict[str, Any]:
        plain = np.array(array, subok=False)
        self.bytes += plain.nbytes
        name = plain.dtype.newbyteorder("=").name
        if name not in DTYPES or self.bytes > MOST_BYTES or plain.ndim > 8:
            return {"is": "other", "type": f"array of {name}, {plain.shape}"[:_LONGEST]}
        self.sent.append(plain.astype(name))
        return {"is": "array", "array": len(self.sent) - 1, **facts}


_OURS: list[int] = []


def _end_if_forked() -> None:
    """End a process that the file has forked off, before it answers in our place."""
    if os.getpid() not in _OURS:
        os._exit(0)


def _told(error: BaseException) -> dict[str, Any]:
    """Return an error's kind, first line, and the innermost line of the file that it passed."""
    line = None
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code.co_filename == FILE:
            line = place.tb_lineno
        place = place.tb_next
    try:
        message = str(error).strip().splitlines()
    except BaseException:  # noqa: BLE001
        message = []
    first = message[0][:_LONGEST] if message else ""
    return {"error": type(error).__name__[:80], "message": first, "line": line}


if __name__ == "__main__":
    try:
        main()
    except WireError:
        sys.exit(3)
