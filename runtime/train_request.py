"""What a run is asked for: by options, by the record of an earlier run, or by both.

A record is what ``run.json`` holds, and a checkpoint too. ``--from`` takes every option from
it that is not given; ``--resume`` does so too, and refuses those that are given and differ,
except ``--epochs``, ``--threads`` and where the data are.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol, final

from codegen.optimizers import OPTIONS
from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from runtime.blocks.streamed import AnyDataset
from runtime.data.catalogue import SETS, Choice
from runtime.data.options import DataOptions
from runtime.errors import InputError
from runtime.network_choice import aim_of, choose_network, rows_wanted
from runtime.run_record import RunRecord, platform_facts, versions
from runtime.settings import Settings, whole_number
from runtime.training import refuse_options

_OF_SETTINGS = {field.name for field in fields(Settings)}
_OF_NETWORK = ("loss", "define", "l2", "labels")
_OF_DATA = {"label": None, "test_fraction": None, "scale": "none", "memory": None}
# what the bits of a result can depend on besides the record
_MATTERS = ("gradwright", "llvmlite", "numba", "numpy", "scipy")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run that was asked for, checked as far as it can be without the data.

    Attributes
    ----------
    settings
        What to train with.
    network
        What to train; None if that depends on the data.
    read
        Reads a network's text in the light of the options.
    options
        All options that decide the result, by name.
    """

    settings: Settings
    network: NetworkSpec | None
    read: Callable[[str], NetworkSpec]
    options: Mapping[str, Any]

    def data_options(self, data_dir: str | None, offline: bool) -> DataOptions:
        """Return how the data are to be loaded, from a folder or from where they usually are."""
        chosen = {name: self.options[name] for name in ("data_seed", *_OF_DATA)}
        aim = aim_of(self.network, self.read)
        return DataOptions(
            **chosen,
            data_dir=data_dir,
            offline=offline,
            sparse=rows_wanted(self.network, self.settings.sparse),
            dtype=self.settings.dtype,
            aim=aim,
        )


def make_request(choice: Choice, spec: str | None, options: Mapping[str, Any]) -> Request:
    """Return what the options ask for.

    Raises
    ------
    InputError
        Naming the first that cannot be used.
    """
    chosen = {name: options[name] for name in _OF_SETTINGS if name in options}
    for name in ("epochs", "batch"):
        if chosen.get(name) is None:
            chosen[name] = getattr(choice, name)
    settings = Settings(**chosen)
    whole_number("data_seed", options["data_seed"], 0)
    refuse_options(options["test_fraction"], options["scale"])
    read = partial(
        parse_spec,
        loss=options["loss"] or DEFAULT_LOSS,
        define=options["define"],
        l2=options["l2"] or 0.0,
    )
    network = choose_network(choice, spec, read)
    return Request(settings=settings, network=network, read=read, options=options)


def options_of(record: RunRecord, source: str) -> dict[str, Any]:
    """Return the options that ask for the run of a record.

    Raises
    ------
    InputError
        If the record has settings that this version does not know, or of another type.
    """
    found: dict[str, Any] = {"loss": record.loss, **record.settings}
    unknown = sorted(set(found) - _OF_SETTINGS - set(_OF_NETWORK))
    if unknown:
        raise InputError(
            f'{source}: "settings.{unknown[0]}" is not known. Install the version of gradwright '
            "that wrote it."
        )
    define, l2, labels = (found.get(name) for name in _OF_NETWORK[1:])
    texts = isinstance(define, list) and all(isinstance(text, str) for text in define)
    number = isinstance(l2, int | float) and not isinstance(l2, bool)
    if not texts or not number or labels not in ("one-hot", "any"):
        raise InputError(f'{source}: "settings.define", "l2" or "labels" is not of its type.')
    assert isinstance(define, list)
    found["define"] = tuple(define)
    for name in ("seed", "data_seed"):
        found[name] = record.seeds.get(name, 0)
    return found | {name: record.data.options.get(name, none) for name, none in _OF_DATA.items()}


def merged(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a record, with those that are given in their place."""
    found = dict(recorded)
    if given.get("optimizer", found.get("optimizer")) != found.get("optimizer"):
        for name in OPTIONS:  # numbers of another optimiser
            found.pop(name, None)
    return found | dict(given)


def data_of(record: RunRecord) -> str:
    """Return what DATA was on the command line."""
    source = record.data.options.get("source")
    if not isinstance(source, str):
        return record.data.name
    return f"./{source}" if source in SETS else source


def refuse_other_run(
    request: Request, choice: Choice, record: RunRecord, given: Collection[str], where: str
) -> None:
    """Raise `InputError` if options that are `given` ask for another run than the record's.

    Parameters
    ----------
    request
        Made of the record's options and, before these, of those that are given.
    choice
        The data that are asked for.
    given
        Names of options, and ``spec``.
    where
        What messages call the record.
    """

    def refuse(what: str, found: object, asked: object) -> None:
        if found != asked:
            raise InputError(
                f"{where}: the run has {what} {found}, and {asked} was given. Leave the option "
                "out to go on with that run, or start another one with --overwrite or --out."
            )

    refuse("the data", record.data.name, choice.name)
    settings, stored = request.settings.as_json(), dict(record.settings)
    for name in ("epochs", "threads"):
        stored.pop(name, None)
    for name in sorted(_OF_SETTINGS & stored.keys()):
        refuse(f"--{name.replace('_', '-')}", stored[name], settings.get(name))
    for name in ("patience", "target_accuracy", "clip_norm"):
        if name not in stored and settings.get(name) is not None:
            refuse(f"--{name.replace('_', '-')}", "none", settings[name])
    for name in ("seed", "data_seed"):
        refuse(f"--{name.replace('_', '-')}", record.seeds.get(name, 0), request.options[name])
    for name, none in _OF_DATA.items():
        refuse(
            f"--{name.replace('_', '-')}",
            record.data.options.get(name, none),
            request.options[name],
        )
    network = request.network
    if network is not None:
        refuse("the network", record.spec, str(network))
        refuse("--loss", record.loss, network.loss)
        refuse("--l2", record.settings["l2"], network.l2)
        define = [str(definition) for definition in network.definitions]
        refuse("--define", record.settings["define"], define)
    if "labels" in given and request.options["labels"] == "any":
        refuse("--labels", record.settings["labels"], "any")
    epochs = record.settings.get("epochs")
    if request.settings.schedule != "constant" and request.settings.epochs != epochs:
        raise InputError(
            f"{where}: the schedule {request.settings.schedule} was laid out for {epochs} epochs, "
            f"and --epochs {request.settings.epochs} was given. Leave it out, or start another run."
        )


def refuse_other_data(data: AnyDataset, record: RunRecord, where: str) -> None:
    """Raise `InputError` unless the data have the record's checksums."""
    if text := changed_data(data, record):
        raise InputError(
            f"{where}: the data are not those of the run: {text}. Restore them, or start another "
            "run with --overwrite or --out."
        )


def changed_data(data: AnyDataset, record: RunRecord) -> str:
    """Return in words which data have other checksums than the record's; empty if none."""
    then, now = record.data.sha256, data.sources
    changed = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    if not changed:
        return ""
    return f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed (SHA-256)"


class Made(Protocol):
    """A record of what something was made with."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Of each package that a result can depend on."""
        ...

    @property
    def platform(self) -> Mapping[str, str | int]:
        """The machine."""
        ...


def differences(record: Made) -> str:
    """Return in words what the bits can depend on and is not as in the record."""
    here, then = versions(), record.versions
    found = [
        f"{name} was {then.get(name, 'not there')} and is {here.get(name, 'not there')}"
        for name in _MATTERS
        if then.get(name) != here.get(name)
    ]
    platform = platform_facts()
    cpu = platform["cpu"]
    if record.platform.get("cpu") != cpu:
        found.append(f"the processor was {record.platform.get('cpu')} and is {cpu}")
    now, before = (facts.get("processes", 1) for facts in (platform, record.platform))
    if now != before:
        found.append(f"processes were {before} and are {now}")
    return "; ".join(found)
