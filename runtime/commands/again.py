"""A run again: from its record, and the command that goes on with it."""

import os
import shlex
from typing import TYPE_CHECKING, Any

from runtime.files import shown
from runtime.messages import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.blocks.streamed import AnyDataset
    from runtime.ranks.communicator import Ranks
    from runtime.run_folder import RunFolder
    from runtime.run_record import RunRecord


def from_record(
    path: str, data: str | None, spec: str | None, options: "Mapping[str, Any]", given: set[str]
) -> "tuple[RunRecord, str, str, dict[str, Any]]":
    """Return a record, and the arguments and options that ask for its run."""
    from runtime.files import read_text
    from runtime.run_record import RunRecord
    from runtime.train_request import data_of, merged, options_of

    record = RunRecord.from_json(read_text(path), shown(path))
    record.refuse_imported(shown(path))
    chosen = {name: options[name] for name in options if name in given}
    is_network = data is not None and data[:1].isdigit() and "-" in data
    if spec is None and data is not None and is_network and not os.path.lexists(data):
        spec, data = data, None  # train --from RUN.JSON SPEC
    recorded = {**options, **options_of(record, shown(path))}
    return record, data or data_of(record), spec or record.spec, merged(recorded, chosen)


def compare_data(
    record: "RunRecord", dataset: "AnyDataset", path: str, *, data_given: bool
) -> None:
    """Tell, or refuse, what makes a run of a record another run."""
    from runtime.train_request import changed_data, differences, refuse_other_data

    if not data_given:
        refuse_other_data(dataset, record, shown(path))
    elif text := changed_data(dataset, record):
        say(f"note: the data are not those of {shown(path)}: {text}")
    if text := differences(record):
        say(f"note: the last digits may differ: {text}")


def go_on(
    data: str,
    place: "Path | RunFolder",
    data_dir: str | None,
    offline: bool,
    ranks: "Ranks | None" = None,
) -> str:
    """Return the command that goes on with the run in a folder."""
    folder = str(getattr(place, "path", place))
    words = [] if ranks is None else ["mpiexec", "-n", str(ranks.count)]
    words += ["gradwright", "train", data, "--out", folder, "--resume"]
    words += [] if data_dir is None else ["--data-dir", data_dir]
    words += ["--offline"] if offline else []
    return shlex.join(words)
