"""Networks with parameters that nobody trained, for what reads and writes them."""

from typing import Any

import numpy as np

from derive.spec import parse_spec
from runtime.portable import PortableNetwork, shapes_of


def drawn(text: str, dtype: str = "float32", loss: str = "cross-entropy", **rest: Any) -> Any:
    """Return a network with every parameter drawn, biases too, and what else is given of it."""
    draw = np.random.default_rng(3)
    network = parse_spec(text, loss=loss)
    params = {
        name: (draw.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)
        for name, shape in shapes_of(network).items()
    }
    return PortableNetwork(network=network, params=params, **rest)


def inputs(portable: PortableNetwork, count: int = 9) -> np.ndarray:
    """Return inputs (count, n0) of the network's type."""
    draw = np.random.default_rng(4)
    size = int(portable.network.sizes[0])
    return (2 * draw.standard_normal((count, size))).astype(portable.dtype)
