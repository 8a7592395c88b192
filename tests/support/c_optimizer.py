"""The ``train`` of an emitted C file with an optimiser, called as that of a module in Python."""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from c_library import CNetwork, Params

from codegen.optimizer_programs import optimizer_programs
from codegen.optimizers import OPTIONS, recipe


@dataclass(frozen=True)
class CTraining:
    """A library, with the structures that its header declares for the recipe."""

    c: CNetwork
    code: dict[str, Any]

    def structures(self, entries: int) -> tuple[Any, Any]:
        """Return the types of the options and of the state."""
        made = recipe(
            self.code["optimizer"],
            clip_norm=self.code["clip_norm"],
            schedule=self.code["schedule"],
        )
        names = [(name, ctypes.c_double) for name in made.options]
        if made.schedule != "constant":
            names.append(("schedule_epochs", ctypes.c_size_t))
        optimizer = optimizer_programs(made, self.c.dtype)
        kept = [(name, self.c.number * entries) for name in optimizer.entry_state]
        kept += [(name, ctypes.c_double) for name in optimizer.step_state]
        Options = type("Options", (ctypes.Structure,), {"_fields_": names})
        State = type("State", (ctypes.Structure,), {"_fields_": kept})
        return Options, State if kept else None

    def train(
        self,
        params: dict[str, np.ndarray],
        X: Any,
        Y: Any,
        *,
        start: int = 0,
        state: dict[str, Any] | None = None,
        epochs: int,
        batch: int,
        eta: float,
        order: Any = None,
        seed: int = 0,
        schedule_epochs: int = 0,
        **numbers: float,
    ) -> int:
        """Train in place, and return the status; the state lies in ``state["C"]``."""
        entries = sum(value.size for value in params.values())
        Options, State = self.structures(entries)
        options = Options()
        for name, _ in Options._fields_:
            if name == "schedule_epochs":
                options.schedule_epochs = schedule_epochs
            else:
                setattr(options, name, numbers.pop(name, OPTIONS[name].default))
        assert not numbers
        more = [ctypes.c_size_t(start), ctypes.byref(options)]
        if State is not None:
            kept = None if state is None else state.setdefault("C", State())
            more.append(None if kept is None else ctypes.byref(kept))
        status, after, _ = self.c.train(
            params, X, Y, epochs=epochs, batch=batch, eta=eta, seed=seed, order=order, more=more
        )
        _put(params, after)
        return status


def _put(params: dict[str, np.ndarray], after: Params) -> None:
    for name, value in after.items():
        params[name][...] = value
