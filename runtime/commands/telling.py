"""What ``gradwright train`` says of a run: what is trained on what, and why it ended."""

from typing import TYPE_CHECKING, Any

from runtime.commands.optimizer import optimizer_text
from runtime.interruption import StopRequest
from runtime.messages import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derive.spec import NetworkSpec
    from runtime.blocks.streamed import AnyDataset
    from runtime.data.catalogue import Choice
    from runtime.ranks.communicator import Ranks
    from runtime.result import TrainResult
    from runtime.settings import Settings


def announce(
    dataset: "AnyDataset",
    network: "NetworkSpec",
    settings: "Settings",
    unused: list[str],
    ranks: "Ranks | None",
) -> None:
    """Say what is going to be trained on what."""
    from runtime.network_choice import parameter_count

    say(
        f"{dataset.name}: {dataset.train_rows} training and {dataset.test_rows} test samples, "
        f"{dataset.input_text}, {dataset.target_text}"
    )
    if "memory" in dataset.options:
        from runtime.blocks.loading import memory_text

        say(f"{dataset.name}: {memory_text(dataset)}")
    say(f"{network}: {parameter_count(network)} parameters, {network.loss}, {settings.dtype}")
    say(
        f"training: {settings.epochs} epochs in batches of {settings.batch}, "
        f"eta {settings.eta:g}, seed {settings.seed}{optimizer_text(settings)}"
    )
    if ranks is not None:
        share = settings.batch / ranks.count
        say(f"{ranks.count} processes, each with about {share:.4g} samples of every batch")
    for option in unused:
        say(f"note: {option} has no effect on {dataset.name}")


def unused_options(
    choice: "Choice", dataset: "AnyDataset", options: "Mapping[str, Any]", data_dir: str | None
) -> list[str]:
    """Return the options that were given and change nothing about this set."""
    split = "test_fraction" in dataset.options
    unused = []
    if options["data_seed"] and not (choice.is_generated or split):
        unused.append("--data-seed")
    if data_dir and not choice.is_downloaded:
        unused.append("--data-dir")
    if options["test_fraction"] is not None and not split:
        unused.append("--test-fraction")
    if options["label"] is not None and choice.path is None:
        unused.append("--label")
    if options["memory"] is not None and "memory" not in dataset.options:
        unused.append("--memory")
    return unused


def tell_compiling() -> None:
    """Say why nothing is to be seen for some seconds."""
    say("compiling the kernels, once for this network; this takes some seconds ...")


def tell_end(
    result: "TrainResult", settings: "Settings", stop: StopRequest, early: int | None
) -> None:
    """Say why the run ended where it did."""
    epochs = result.history.epochs
    if result.stopped_because:
        say(f"stopped after epoch {epochs} of {settings.epochs}: {result.stopped_because}")
    elif stop.number is not None:
        say(f"stopped after epoch {epochs} of {settings.epochs}, and saved")
    if result.best is not None and early is None:
        say(f"the weights are those after epoch {result.best}, with the lowest test loss")
