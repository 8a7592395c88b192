"""Which network is trained on a set, and whether it can be."""

from collections.abc import Callable

from codegen.compressed_rows import network_takes_rows
from codegen.emit.block_layout import entries_of
from derive.spec import NetworkSpec
from runtime import machine
from runtime.blocks.streamed import AnyDataset
from runtime.data.catalogue import Choice
from runtime.data.labels import REGRESSION_LOSSES, Aim
from runtime.errors import InputError

HIDDEN = 32

Read = Callable[[str], NetworkSpec]
"""Reads a network's text; what is minimised is bound to it."""


def choose_network(choice: Choice, spec: str | None, read: Read) -> NetworkSpec | None:
    """Return the network to train on a set, checked as far as the set is known.

    None if it depends on a set that is not loaded yet: see `default_network`.

    Raises
    ------
    InputError
        If it cannot be read, cannot learn, has sizes that are names or does not fit.
    """
    spec = choice.spec if spec is None else spec
    if spec is None:
        read("2-2")  # for the loss's sake
        return None
    network = read(spec)
    if network.is_symbolic:
        raise InputError(
            f"network: {spec} has sizes that are names, and training needs numbers. Write "
            "every size as an integer, for example 2-10-2."
        )
    if choice.shape is not None and not _has_one_output(network, choice.shape):
        refuse_misfit(network, choice.name, choice.shape)
    _refuse_giants(network)
    return network


def aim_of(network: NetworkSpec | None, read: Read) -> Aim:
    """Return what a network makes of its data, as far as it is known without them."""
    if network is None:
        unsized = read("2-2")  # for the loss and the output that goes with it
        return Aim(loss=unsized.loss, output=unsized.activations[-1])
    return Aim(loss=network.loss, outputs=int(network.sizes[-1]), output=network.activations[-1])


def rows_wanted(network: NetworkSpec | None, sparse: str) -> str:
    """Return which data are to be read as compressed rows: `sparse`, or ``"never"``.

    Those for a network whose kernels want an array are not; None, a network that depends on its
    data, may be either.
    """
    return sparse if network is None or network_takes_rows(network) else "never"


def _has_one_output(network: NetworkSpec, shape: tuple[int, int]) -> bool:
    """Whether a single output tells two classes apart: at 1/2, or as hinge does at 0."""
    to_a_number = network.loss in REGRESSION_LOSSES and network.activations[-1] == "identity"
    inputs, classes = shape
    return (network.sizes[0], network.sizes[-1], classes) == (inputs, 1, 2) and not to_a_number


def default_network(data: AnyDataset, read: Read) -> NetworkSpec:
    """Return the network for data that nobody named one for: one hidden layer."""
    inputs, classes = shape_of(data)
    return read(f"{inputs}-{HIDDEN}-{classes}")


def shape_of(data: AnyDataset) -> tuple[int, int]:
    """Return the number of input columns, and of outputs that the targets need."""
    return data.inputs, data.outputs


def refuse_misfit(
    network: NetworkSpec, name: str, shape: tuple[int, int], what: str = "classes"
) -> None:
    """Raise `InputError` unless the network has as many inputs and outputs as the data."""
    inputs, classes = shape
    if (network.sizes[0], network.sizes[-1]) != (inputs, classes):
        hidden = "-...-" if network.depth > 1 else "-"
        raise InputError(
            f"network: {network} has {network.sizes[0]} inputs and {network.sizes[-1]} outputs, "
            f"but {name} has {inputs} columns and {classes} {what}. "
            f"Expected {inputs}{hidden}{classes}."
        )


def _refuse_giants(network: NetworkSpec) -> None:
    """Refuse parameters that cannot be: the system would kill the process, not refuse them."""
    if 4 * parameter_count(network) > machine.memory():  # bytes of a float32
        raise too_large(network)


def too_large(network: NetworkSpec) -> InputError:
    """Return the error for a network that memory cannot hold."""
    return InputError(
        f"network: {network} has {parameter_count(network):,} parameters, "
        f"{4 * parameter_count(network) / 1e9:,.1f} GB in float32: not enough memory. "
        "Use smaller layers."
    )


def parameter_count(network: NetworkSpec) -> int:
    """Return the number of weights and biases."""
    return entries_of([int(size) for size in network.sizes])
