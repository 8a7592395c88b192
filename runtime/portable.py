"""A trained network apart from how it was trained: what other programmes' files can hold."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import NetworkSpec
from runtime.checkpoint import NAME
from runtime.data.scaling import Scaling
from runtime.errors import InputError
from runtime.files import utf8
from runtime.model_file import model_bytes
from runtime.result import Model, TrainResult
from runtime.run_folder import open_run_folder
from runtime.run_record import DataRecord, RunRecord, platform_facts, versions
from runtime.settings import DTYPES
from runtime.trained import Trained, kernels, load_trained

Array = NDArray[Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PortableNetwork:
    """A network with its parameters, and how its inputs are scaled.

    Attributes
    ----------
    network
        Sizes, activations, and the loss to go on with.
    params
        ``W{l} (n_l, n_{l-1})`` and ``b{l} (n_l,)``, all float32 or all float64, finite.
    scaling
        Applied to the inputs before the first layer; None: they are taken as they are.
    classes
        What the outputs stand for, in their order; empty for real targets.
    source
        Name and SHA-256 of the file that it came from, if it came from one.

    Raises
    ------
    InputError
        If the parameters are not those of the network.
    """

    network: NetworkSpec
    params: dict[str, Array] = field(repr=False)
    scaling: Scaling | None = None
    classes: tuple[int | str, ...] = ()
    source: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = shapes_of(self.network)
        found = {name: array.shape for name, array in self.params.items()}
        if found != expected:
            raise InputError(f"parameters: {found}; {self.network.text} has {expected}.")
        dtypes = {str(array.dtype) for array in self.params.values()}
        if len(dtypes) > 1 or not dtypes <= set(DTYPES):
            raise InputError(
                f"parameters: they are {', '.join(sorted(dtypes))}. Expected all float32 or all "
                "float64: convert them first."
            )
        for name, array in self.params.items():
            if not np.isfinite(array).all():
                raise InputError(f"parameters: {name} is not finite. Export the network again.")

    @property
    def dtype(self) -> str:
        """Type of parameters, inputs and outputs."""
        return str(self.params["W1"].dtype)

    def module(self) -> ModuleType:
        """Return the kernels, generated from the specification.

        Raises
        ------
        InputError, RunError
            If the folder of compiled kernels cannot be used.
        """
        return kernels(self.network, self.dtype)

    def predict(self, X: Array) -> Array:
        """Return the outputs (B, nL) for inputs (B, n0) as the user has them, before scaling."""
        X = np.array(X, dtype=self.dtype)
        if self.scaling is not None and X.ndim == 2:
            self.scaling.apply(X)
        outputs: Array = self.module().forward(self.params, X)
        return outputs

    def save(
        self, folder: str | os.PathLike[str] | None = None, *, overwrite: bool = False
    ) -> Path:
        """Write the folder of a run, for ``predict``, ``evaluate`` and ``export``.

        It holds ``model.safetensors`` and ``run.json``. Nothing in it was trained here, so that
        there is no history, and no settings from which to train again.

        Parameters
        ----------
        folder
            Where to; None: ``runs/NAME``, by the name of the file that it came from.
        overwrite
            Replace the run that the folder holds.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        InputError, RunError
            If the folder cannot be used, or cannot be written.
        """
        from runtime.run_output import save_files

        name = next(iter(self.source), "network")
        stem = Path(name).stem.replace("\0", "") or "network"
        with open_run_folder(stem, folder, overwrite=overwrite) as opened:
            save_files(opened, self._files(name))
            (opened.path / NAME).unlink(missing_ok=True)  # of the run that was there
            return opened.path

    def _files(self, name: str) -> dict[str, bytes]:
        settings = {
            "dtype": self.dtype,
            "labels": "any",
            "define": [str(definition) for definition in self.network.definitions],
            "l2": self.network.l2,
        }
        meta: dict[str, Any] = {
            "spec": str(self.network),
            "loss": self.network.loss,
            "classes": list(self.classes),
            "settings": settings,
            **({} if self.scaling is None else {"scaling": self.scaling.to_json()}),
        }
        record = RunRecord(
            spec=str(self.network),
            loss=self.network.loss,
            settings=settings,
            seeds={},
            data=DataRecord(
                name=name,
                sha256=dict(self.source),
                classes=self.classes,
                options={} if self.scaling is None else {"scale": self.scaling.kind},
            ),
            results={"imported": name},
            versions=versions(),
            platform=platform_facts(),
        )
        return {
            "model.safetensors": model_bytes(self.params, meta),
            "run.json": utf8(record.to_json()),
        }

    @classmethod
    def of(cls, source: Any) -> Self:
        """Return what `source` holds: a model, a result, a run or its folder, an estimator.

        Raises
        ------
        InputError
            If it is none of these, or its folder cannot be read.
        """
        if isinstance(source, cls):
            return source
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            source = load_trained(path.parent if path.name == "model.safetensors" else path)
        match source:
            case Model():
                return cls(network=source.network, params=dict(source.params))
            case TrainResult():
                return cls(
                    network=source.model.network,
                    params=dict(source.model.params),
                    scaling=source.data.scaling,
                    classes=source.data.classes,
                )
            case Trained():
                return cls(
                    network=source.network,
                    params=dict(source.params),
                    scaling=source.scaling,
                    classes=source.classes,
                )
            case _ if hasattr(source, "hidden_layer_sizes"):
                from runtime.estimators.portable import portable_of

                return portable_of(source)
            case _:
                raise InputError(
                    f"{type(source).__name__}: not a trained network. Give a model, the result of "
                    "runtime.train, the folder of a run, or a fitted estimator."
                )


def shapes_of(network: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's parameters, by name and in order.

    Raises
    ------
    InputError
        If a size is a name.
    """
    if network.is_symbolic:
        raise InputError(
            f"network: {network} has sizes that are names, and parameters need numbers. Write "
            "every size as an integer, for example 2-10-2."
        )
    found: dict[str, tuple[int, ...]] = {}
    for layer, (m, n) in enumerate(pairwise(int(size) for size in network.sizes), start=1):
        found |= {f"W{layer}": (n, m), f"b{layer}": (n,)}
    return found


def natural_loss(output: str) -> str:
    """Return the loss that goes with an output, for files that do not name one."""
    known = {"softmax": "cross-entropy", "log_softmax": "cross-entropy"}
    return {**known, "sigmoid": "binary-cross-entropy"}.get(output, "mse")


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()
