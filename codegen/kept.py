"""Sources that an earlier process generated, so that a warm start needs no SymPy.

A source is kept under a hash of all that it depends on: the network and the options, every
file of `derive` and `codegen` as it is installed, and the versions of what they rest on. It is
read again only if `codegen.cache` vouches for it; whatever is wrong with a kept source, it is
generated anew.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from codegen.cache import keep_text, kept_text
from codegen.source import GeneratedSource

if TYPE_CHECKING:
    from derive.spec import NetworkSpec

VERSIONED = ("gradwright", "sympy", "numba", "llvmlite", "numpy", "scipy")  # named in headers


def generate_or_recall(
    spec: "NetworkSpec",
    *,
    dtype: str = "float32",
    labels: str = "one-hot",
    optimizer: str | None = None,
    clip_norm: bool = False,
    schedule: str = "constant",
    penalty: bool = False,
    shards: bool = False,
) -> GeneratedSource:
    """Return what `codegen.generate` does, from the disk if it was generated before.

    The parameters are those of `codegen.generate`; what is returned has no ``reports`` if
    it comes from the disk.

    Raises
    ------
    InputError
        As `codegen.generate` does.
    """
    options: dict[str, object] = {
        "dtype": dtype,
        "labels": labels,
        "optimizer": optimizer,
        "clip_norm": clip_norm,
        "schedule": schedule,
        "penalty": penalty,
        "shards": shards,
    }

    def make() -> GeneratedSource:
        from codegen.generation import generate

        return generate(
            spec,
            dtype=dtype,
            labels=labels,
            optimizer=optimizer,
            clip_norm=clip_norm,
            schedule=schedule,
            penalty=penalty,
            shards=shards,
        )

    return _recalled(spec, options, make)


def generate_any_size_or_recall(
    spec: "NetworkSpec", *, labels: str = "one-hot", optimizer: str
) -> GeneratedSource:
    """Return what `codegen.generation.generate_any_size` does, from the disk if it can be."""

    def make() -> GeneratedSource:
        from codegen.generation import generate_any_size

        return generate_any_size(spec, labels=labels, optimizer=optimizer)

    options: dict[str, object] = {"dtype": "float64", "labels": labels}
    options |= {"optimizer": optimizer, "any_size": True}
    return _recalled(spec, options, make)


def _recalled(
    spec: "NetworkSpec", options: dict[str, object], make: Callable[[], GeneratedSource]
) -> GeneratedSource:
    """Return the source that is kept for a network and options, or make and keep it."""
    objective = [
        spec.text,
        spec.loss,
        [str(definition) for definition in spec.definitions],
        spec.l2,
    ]
    asked = json.dumps([objective, options, _generator()])
    name = hashlib.sha256(asked.encode()).hexdigest()[:24]
    text = kept_text(name)
    if text is not None:
        return GeneratedSource(spec=spec, dtype=str(options["dtype"]), text=text, reports={})
    source = make()
    keep_text(name, source.text)
    return source


@cache
def _generator() -> str:
    """Return a hash of what generates: our own files, Python and the packages it rests on."""
    import derive

    found = hashlib.sha256(sys.version.encode())
    for name in (*VERSIONED, "mpmath"):  # mpmath finds the coefficients of tanh, exp and so on
        found.update(f"{name} {metadata.version(name)}\0".encode())
    for package in (Path(str(derive.__file__)).parent, Path(__file__).parent):
        for path in sorted(package.rglob("*")):
            if path.suffix in (".py", ".txt"):
                content = path.read_bytes()
                name = path.relative_to(package.parent).as_posix()
                found.update(f"{name} {len(content)}\0".encode() + content)
    return found.hexdigest()
