"""``run.json``: everything that is needed to do a run again, and what came of it."""

import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar, final

from runtime.errors import InputError, InternalError
from runtime.ranks.launcher import find_launch

FORMAT = 1
# what a result can depend on; PyTorch only where it is installed
_PACKAGES = (
    "gradwright",
    "llvmlite",
    "matplotlib",
    "numba",
    "numpy",
    "safetensors",
    "scipy",
    "sympy",
    "torch",
)
_RESTORE = "Restore the file as gradwright wrote it, or start a new run"

Label = int | str
Option = str | int | float | tuple[str, ...] | None
_Kind = TypeVar("_Kind")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """What a run was trained on.

    Attributes
    ----------
    name
        ``circles``, ``mnist``, or the name of the user's file.
    sha256
        Checksum by name of file or array, 64 hexadecimal digits each.
    classes
        The labels, in the order of the outputs; empty where there are none.
    options
        How it was loaded: ``source`` (a path, or a name that is not that of the set),
        ``label``, ``test_fraction``, ``scale``, and ``columns``, the names of the inputs. Only
        what was given or used.
    """

    name: str
    sha256: Mapping[str, str]
    classes: tuple[Label, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run: its input, its circumstances and its results.

    Attributes
    ----------
    spec, loss
        The network as the user would type it, and the loss of one sample.
    settings
        Every option that changes the result, by its name on the command line: epochs,
        batch, eta, dtype, …. Values are what JSON can hold, finite numbers only.
    seeds
        Seed by what it draws: ``seed`` (weights and order), ``data_seed`` (the set).
    data
        What it was trained on.
    results
        Figures after the last epoch. What is not finite is stored as None.
    versions, platform
        As `versions` and `platform_facts` give them.
    """

    spec: str
    loss: str
    settings: Mapping[str, Any]
    seeds: Mapping[str, int]
    data: DataRecord
    results: Mapping[str, float | int | str | None]
    versions: Mapping[str, str]
    platform: Mapping[str, str | int]

    def refuse_imported(self, source: str) -> None:
        """Raise `InputError` if the network was imported: there is no training to do again."""
        if (name := self.results.get("imported")) is not None:
            raise InputError(
                f"{source}: the network was imported from {name}, not trained here. Use it with "
                "predict, evaluate or export, or train another in a folder of its own."
            )

    def to_json(self) -> str:
        """Return the content of ``run.json``: sorted keys, two spaces of indent.

        Raises
        ------
        InternalError
            If a field holds what JSON cannot.
        """
        content = {
            "format": FORMAT,
            "spec": self.spec,
            "loss": self.loss,
            "settings": dict(self.settings),
            "seeds": dict(self.seeds),
            "data": {
                "name": self.data.name,
                "sha256": dict(self.data.sha256),
                "classes": list(self.data.classes),
                **({"options": dict(self.data.options)} if self.data.options else {}),
            },
            "results": {name: _finite(value) for name, value in self.results.items()},
            "versions": dict(self.versions),
            "platform": dict(self.platform),
        }
        try:
            text = json.dumps(
                content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False
            )
        except (TypeError, ValueError) as error:
            raise InternalError(f"run record is not JSON: {error}") from error
        return text + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "run.json") -> Self:
        """Read what `to_json` wrote, and nothing else.

        Parameters
        ----------
        text
            Content of the file.
        source
            What messages call it.

        Raises
        ------
        InputError
            Naming the first key that is missing, unknown or not of its type.
        """
        content = _parse(text, source)
        record = _Reader(content=content, source=source, place="")
        if (version := record.take("format", int)) != FORMAT:
            raise InputError(
                f"{source}: written in format {version}, and this version reads format "
                f"{FORMAT}. Install the version of gradwright that wrote it."
            )
        data = _Reader(content=record.take("data", dict), source=source, place="data.")
        made = cls(
            spec=record.take("spec", str),
            loss=record.take("loss", str),
            settings=record.take("settings", dict),
            seeds=record.mapping("seeds", int),
            data=DataRecord(
                name=data.take("name", str),
                sha256=data.mapping("sha256", str),
                classes=data.labels("classes"),
                options=_data_options(data),
            ),
            results=record.mapping("results", float, int, str, type(None)),
            versions=record.mapping("versions", str),
            platform=record.mapping("platform", str, int),
        )
        data.finish()
        record.finish()
        return made


def _data_options(data: "_Reader") -> dict[str, Option]:
    """Return how the data were loaded; a record of a named set says nothing about it."""
    if "options" not in data.content:
        return {}
    content = data.take("options", dict)
    options = _Reader(content=content, source=data.source, place="data.options.")
    found: dict[str, Option] = {}
    for name in ("label", "scale", "source"):
        if name in content:
            found[name] = options.take(name, str)
    if "test_fraction" in content:
        found["test_fraction"] = options.take("test_fraction", float)
    if "memory" in content:
        found["memory"] = options.take("memory", int)
    if "columns" in content:
        found["columns"] = tuple(map(str, options.labels("columns")))
    options.finish()
    return found


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that a result can depend on.

    Read from the packages' metadata: none of them is imported. A package that is not
    installed is left out, except gradwright itself.
    """
    found = {"gradwright": "not installed", "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return dict(sorted(found.items()))


def platform_facts() -> dict[str, str | int]:
    """Return operating system, processor, the cores this process may use, and its fellows.

    Without the machine's name: a run record is made to be passed on.
    """
    system, launch = platform.uname(), find_launch()
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return {
        "cores": usable,
        "cpu": _cpu_model() or system.machine,
        "machine": system.machine,
        **({} if launch is None else {"processes": launch.count}),
        "release": system.release,
        "system": system.system,
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # only Linux has it
        return None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parse(text: str, source: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InputError(f'{source}: the key "{key}" stands there twice. {_RESTORE}.')
            found[key] = value
        return found

    def finite(literal: str) -> float:
        if not math.isfinite(value := float(literal)):  # NaN, Infinity, 1e999
            raise InputError(f"{source}: {literal} is not a finite number. {_RESTORE}.")
        return value

    try:
        content = json.loads(
            text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{source}, {place}: not JSON ({error.msg}). {_RESTORE}.") from error
    except InputError:
        raise  # it is a ValueError too
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 10,000 brackets
        raise InputError(f"{source}: not a run record of gradwright. {_RESTORE}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{source}: not a run record: expected an object. {_RESTORE}.")
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Takes keys out of an object one by one, and complains about those left over."""

    content: dict[str, Any]
    source: str
    place: str

    def take(self, key: str, kind: type[_Kind]) -> _Kind:
        if key not in self.content:
            raise InputError(f'{self.source}: "{self.place}{key}" is missing. {_RESTORE}.')
        value = self.content.pop(key)
        # JSON's true is no integer, though Python's bool is
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._wrong(key, value, (kind,))
        return value

    def mapping(self, key: str, *kinds: type) -> dict[str, Any]:
        found = self.take(key, dict)
        for name, value in found.items():
            if type(value) not in kinds:
                raise self._wrong(f"{key}.{name}", value, kinds)
        return found

    def labels(self, key: str) -> tuple[Label, ...]:
        found = self.take(key, list)
        for value in found:
            if type(value) not in (int, str):
                raise self._wrong(key, value, (int, str))
        return tuple(found)

    def finish(self) -> None:
        if self.content:
            key = f"{self.place}{min(self.content)}"
            raise InputError(f'{self.source}: "{key}" is not known. {_RESTORE}.')

    def _wrong(self, key: str, value: object, kinds: tuple[type, ...]) -> InputError:
        names = {str: "text", int: "an integer", float: "a number", dict: "an object"}
        names |= {list: "a list", type(None): "null"}
        expected = " or ".join(names[kind] for kind in kinds)
        found = json.dumps(value)
        found = found if len(found) <= 40 else found[:39] + "…"
        message = f'{self.source}: "{self.place}{key}" is {found}, expected {expected}.'
        return InputError(f"{message} {_RESTORE}.")
