"""Whether kernels take inputs as compressed sparse rows, or multiply by every one of an array.

A network is asked before its data are read, so that these become at once what its kernels take:
an array beside the rows it is made from would be too much of both.
"""

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType

from codegen.emit.block_layout import LANES, MOST_INPUTS, MOST_PARAMETERS, MOST_WITH_UNITS
from codegen.passes.choose_matmul import inputs_go_through_calls
from derive.spec import ROW_ACTIVATIONS, NetworkSpec


def network_takes_rows(network: NetworkSpec) -> bool:
    """Whether the module that `codegen.generate` makes of a network to train takes such rows.

    Not where the penalty of ``--l2`` is part of the loss, whose gradients begin at the weights;
    nor in a network of vectors; nor where both products over the inputs are not calls.

    Parameters
    ----------
    network
        All of its sizes are numbers.
    """
    sizes = [int(size) for size in network.sizes]
    entries = sum(units * (inputs + 1) for inputs, units in pairwise(sizes))
    most = MOST_PARAMETERS
    if sizes[0] <= MOST_INPUTS and _has_units_in_lanes(network, sizes[1:-1]):
        most = MOST_WITH_UNITS
    of_vectors = entries <= most  # as `has_vectors` counts
    return not network.l2 and not of_vectors and inputs_go_through_calls(sizes[0], sizes[1])


def _has_units_in_lanes(network: NetworkSpec, hidden: Sequence[int]) -> bool:
    """Whether units of hidden layers fill vectors, and none is summed up with its neighbours."""
    of_rows = set(network.activations[:-1]) & set(ROW_ACTIVATIONS)
    return bool(hidden) and all(units % LANES == 0 for units in hidden) and not of_rows


def module_takes_rows(module: ModuleType) -> bool:
    """Whether the ``train`` of an emitted module takes such rows."""
    return hasattr(module, "MOST_NONZERO")
