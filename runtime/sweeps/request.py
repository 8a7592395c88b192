"""A sweep as it is asked for: options as texts, checked before any data are loaded.

The texts are kept as they are given. They stand in the sweep's record, and asked again they
give the same plan.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, final

from codegen.optimizers import METHODS, OPTIONS, SCHEDULES, recipe
from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from runtime.data.catalogue import Choice
from runtime.data.dataset import Dataset
from runtime.data.labels import Aim
from runtime.data.options import DataOptions
from runtime.errors import InputError
from runtime.network_choice import aim_of, choose_network, default_network, shape_of
from runtime.settings import Settings, whole_number
from runtime.sweeps.plan import Plan, Point, Value, fingerprint, point_key
from runtime.sweeps.values import numbers, seeds, whole_numbers, words
from runtime.training import refuse_options

# the axes of the grid in the order of the table's columns, and what reads each
AXES: Mapping[str, Callable[[str, str], tuple[Value, ...]]] = {
    "optimizer": partial(words, known=METHODS),
    "schedule": partial(words, known=SCHEDULES),
    "batch": whole_numbers,
    "epochs": whole_numbers,
    "init_scale": numbers,
    **dict.fromkeys(OPTIONS, numbers),
    "eta": numbers,
}
_SHOWN = ("optimizer", "batch", "epochs", "eta")  # columns that every table has
_OF_DATA = tuple(field.name for field in fields(DataOptions) if field.name not in ("aim", "dtype"))
# what a record keeps of the options: where the data are does not decide a result
RECORDED = (
    "networks",
    "hidden",
    "seeds",
    *AXES,
    "loss",
    "define",
    "l2",
    "labels",
    "dtype",
    "threads",
    "sparse",
    "data_seed",
    "label",
    "test_fraction",
    "scale",
)
DEFAULTS: Mapping[str, Any] = {
    "seeds": "10",
    "define": (),
    "l2": 0.0,
    "labels": "one-hot",
    "dtype": "float32",
    "threads": 1,
    "sparse": "auto",
    "data_seed": 0,
    "scale": "none",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """What is to be swept over; made by `read_request`.

    Attributes
    ----------
    choice
        The data, not loaded yet.
    networks
        Networks that are asked for by name; none if they depend on the data.
    hidden
        Hidden layers to put between the inputs and outputs of the data, such as ``20:relu``.
    values
        The values of each axis that is given, or has a default that is not the settings' own.
    seeds
        Seeds of every point.
    read
        Reads a network's text in the light of the options.
    options
        All options by name, as they were given.
    """

    choice: Choice
    networks: tuple[NetworkSpec, ...]
    hidden: tuple[str, ...]
    values: Mapping[str, tuple[Value, ...]]
    seeds: tuple[int, ...]
    read: Callable[[str], NetworkSpec]
    options: Mapping[str, Any]

    @property
    def aim(self) -> Aim:
        """What the networks make of the labels; it is the same for all."""
        return aim_of(self.networks[0] if self.networks else None, self.read)

    def data_options(self) -> DataOptions:
        """Return how the data are to be loaded."""
        chosen = {name: self.options[name] for name in _OF_DATA if name in self.options}
        return DataOptions(**chosen, dtype=self.options["dtype"], aim=self.aim)

    def plan(self, data: Dataset) -> Plan:
        """Return the runs, now that the data are known.

        Raises
        ------
        InputError
            If a network does not fit the data, or a setting is out of range.
        """
        networks = self.networks
        if self.hidden:
            inputs, outputs = shape_of(data)
            texts = [f"{inputs}-{hidden}-{outputs}" for hidden in self.hidden]
            networks = tuple(self.read(text) for text in texts)
        networks = networks or (default_network(data, self.read),)
        labels = "any" if data.is_regression or data.Y_train.shape[1] == 1 else "one-hot"
        labels = "any" if self.options["labels"] == "any" else labels
        seen = fingerprint(data)
        points: dict[str, Point] = {}
        grid = self._settings()
        for network in networks:
            for settings, values in grid:
                key = point_key(seen, network, labels, settings.as_json())
                shown = {"network": str(network), **values}
                # an optimiser that does not read a number meets it once, not for each value
                points.setdefault(
                    key, Point(network=network, settings=settings, values=shown, key=key)
                )
        return Plan(points=tuple(points.values()), seeds=self.seeds)

    def _settings(self) -> list[tuple[Settings, dict[str, Value]]]:
        """Return settings and the table's values for each point of the grid without networks."""
        fixed = {name: self.options[name] for name in ("dtype", "threads", "sparse")}
        found = []
        for chosen in itertools.product(*self.values.values()):
            asked: dict[str, Any] = dict(zip(self.values, chosen, strict=True))
            known = recipe(
                asked["optimizer"],
                clip_norm="clip_norm" in asked,
                schedule=asked.get("schedule", "constant"),
            ).options
            used = {name: v for name, v in asked.items() if name not in OPTIONS or name in known}
            shown = {name: used.get(name, "") for name in self.values}
            found.append((Settings(**used, **fixed), shown))
        return found


def read_request(choice: Choice, options: Mapping[str, Any]) -> SweepRequest:
    """Return the sweep that the options ask for.

    Parameters
    ----------
    choice
        The data.
    options
        By the names in `RECORDED` and of `DataOptions`; None stands for the default. What may
        have several values is a text as on the command line.

    Raises
    ------
    InputError
        Naming the first that cannot be used.
    """
    chosen = {**DEFAULTS, **{name: v for name, v in options.items() if v is not None}}
    whole_number("data_seed", chosen["data_seed"], 0)
    refuse_options(chosen.get("test_fraction"), chosen["scale"])
    read = partial(
        parse_spec,
        loss=chosen.get("loss") or DEFAULT_LOSS,
        define=tuple(chosen["define"]),
        l2=chosen["l2"],
    )
    given = {"optimizer": "sgd", "batch": str(choice.batch), "epochs": str(choice.epochs)}
    given |= {"eta": "0.03", **{name: chosen[name] for name in AXES if name in chosen}}
    values = {name: AXES[name](name, given[name]) for name in AXES if name in given}
    request = SweepRequest(
        choice=choice,
        networks=_networks(choice, chosen, read),
        hidden=_hidden(chosen, read),
        values=values,
        seeds=seeds(chosen["seeds"]),
        read=read,
        options=chosen,
    )
    _refuse_unread(values)
    request._settings()  # whatever can be refused is refused before data are loaded
    return request


def _networks(
    choice: Choice, options: Mapping[str, Any], read: Callable[[str], NetworkSpec]
) -> tuple[NetworkSpec, ...]:
    if options.get("hidden") is not None:
        if options.get("networks") is not None:
            raise InputError(
                "--hidden and networks exclude each other. Give whole networks, such as "
                "2-5-2,2-10:relu-2, or the hidden layers alone."
            )
        return ()
    texts = words("network", options["networks"]) if options.get("networks") else (None,)
    found = [choose_network(choice, text, read) for text in texts]
    networks = tuple(network for network in found if network is not None)
    ends = {(n.sizes[0], n.sizes[-1], n.activations[-1]): str(n) for n in networks}
    if len(ends) > 1:
        raise InputError(
            f"network: {' and '.join(list(ends.values())[:2])} do not have the same inputs and "
            "outputs. The networks of a sweep may differ in their hidden layers alone."
        )
    return networks


def _hidden(options: Mapping[str, Any], read: Callable[[str], NetworkSpec]) -> tuple[str, ...]:
    if options.get("hidden") is None:
        return ()
    found = words("hidden", options["hidden"])
    for text in found:
        try:
            symbolic = read(f"2-{text}-2").is_symbolic
        except InputError as error:
            raise InputError(
                f"hidden: {text}: {error} Expected hidden layers such as 10, 20:relu or 32-32."
            ) from None
        if symbolic:
            raise InputError(f"hidden: {text} has a size that is a name. Write it as an integer.")
    return found


def _refuse_unread(values: Mapping[str, tuple[Value, ...]]) -> None:
    """Raise `InputError` for a number that none of the optimisers reads."""
    readers = {
        name: [m for m in METHODS if name in recipe(m, clip_norm=True).options]
        for name in OPTIONS
        if name in values
    }
    for name, methods in readers.items():
        if not set(methods) & set(values["optimizer"]):
            asked = ", ".join(map(str, values["optimizer"]))
            raise InputError(
                f"{name}: the optimiser {asked} does not have it. Use one that has: "
                f"{', '.join(methods)}."
            )
