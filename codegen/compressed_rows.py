"""Whether kernels take inputs as compressed sparse rows, or multiply by every one of an array.

A network is asked before its data are read, so that these become at once what its kernels take:
an array beside the rows it is made from would be too much of both.
"""

from types import ModuleType

from codegen.emit.block_layout import MOST_PARAMETERS, entries_of, gains_by_units
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
    of_rows = set(network.activations[:-1]) & set(ROW_ACTIVATIONS)  # units summed up, in no lanes
    few = entries_of(sizes) <= MOST_PARAMETERS or (gains_by_units(sizes) and not of_rows)
    return not network.l2 and not few and inputs_go_through_calls(sizes[0], sizes[1])


def module_takes_rows(module: ModuleType) -> bool:
    """Whether the ``train`` of an emitted module takes such rows."""
    return hasattr(module, "MOST_NONZERO")
