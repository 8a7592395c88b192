"""``sweep.json``: all that is needed to do a sweep again, or to go on with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

from runtime.data.catalogue import SETS
from runtime.errors import InputError
from runtime.run_record import FORMAT, platform_facts, versions
from runtime.sweeps.request import RECORDED

NAME = "sweep.json"
_RESTORE = "Restore the file as gradwright wrote it, or start a new sweep"
_NUMBERS = ("l2", "test_fraction")
_WHOLE = ("threads", "data_seed")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """A sweep: what was asked for, on which data, with which versions, and what came of it.

    Attributes
    ----------
    data
        Name of the set.
    source
        The path it was read from; empty for a set that is known by name, and for arrays.
    sha256
        Checksum of the data by name of file or array.
    options
        Every option that decides the result, as it was given; ranges as texts.
    results
        How many runs there are, are done and diverged, and the best point.
    versions, platform
        As `runtime.run_record` gives them.
    """

    data: str
    source: str
    sha256: Mapping[str, str]
    options: Mapping[str, Any]
    results: Mapping[str, Any]
    versions: Mapping[str, str]
    platform: Mapping[str, str | int]

    @classmethod
    def of_now(
        cls,
        data: str,
        source: str,
        sha256: Mapping[str, str],
        options: Mapping[str, Any],
        results: Mapping[str, Any],
    ) -> Self:
        """Return the record of a sweep in this process."""
        kept = {name: options[name] for name in RECORDED if options.get(name) is not None}
        return cls(
            data=data,
            source=source,
            sha256=dict(sha256),
            options=kept | {"define": list(options.get("define", ()))},
            results=results,
            versions=versions(),
            platform=platform_facts(),
        )

    @property
    def argument(self) -> str:
        """What DATA was on the command line; empty for arrays."""
        if self.source:
            return f"./{self.source}" if self.source in SETS else self.source
        return self.data if self.data in SETS else ""

    def to_json(self) -> str:
        """Return the content of ``sweep.json``: sorted keys, two spaces of indent."""
        content = {
            "format": FORMAT,
            "data": {"name": self.data, "source": self.source, "sha256": dict(self.sha256)},
            "options": dict(self.options),
            "results": dict(self.results),
            "versions": dict(self.versions),
            "platform": dict(self.platform),
        }
        return json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = NAME) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            Naming what is missing, not known, or not of its type.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}: not JSON ({error}). {_RESTORE}.") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{source}: no sweep in format {FORMAT} of gradwright. {_RESTORE}.")
        parts = {name: content.get(name) for name in ("data", "options", "results", "versions")}
        parts["platform"] = content.get("platform")
        for name, part in parts.items():
            if not isinstance(part, dict):
                raise InputError(f'{source}: "{name}" is missing, or no object. {_RESTORE}.')
        data = content["data"]
        sha256 = data.get("sha256")
        named = isinstance(data.get("name"), str) and isinstance(data.get("source"), str)
        if not named or not isinstance(sha256, dict):
            raise InputError(f'{source}: "data" is not as it should be. {_RESTORE}.')
        return cls(
            data=data["name"],
            source=data["source"],
            sha256=sha256,
            options=_options(content["options"], source),
            results=content["results"],
            versions=content["versions"],
            platform=content["platform"],
        )


def _options(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    found = dict(content)
    for name, value in found.items():
        if name not in RECORDED:
            raise InputError(
                f'{source}: "options.{name}" is not known. Install the version of gradwright '
                "that wrote it."
            )
        kinds: tuple[type, ...] = (str,)
        if name == "define":
            kinds = (list,)
            value = value if not isinstance(value, list) or all(map(_is_text, value)) else None
        elif name in _NUMBERS:
            kinds = (int, float)
        elif name in _WHOLE:
            kinds = (int,)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise InputError(f'{source}: "options.{name}" is not of its type. {_RESTORE}.')
    return found | {"define": tuple(found.get("define", ()))}


def _is_text(value: object) -> bool:
    return isinstance(value, str)
