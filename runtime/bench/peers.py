"""Who computes it: our kernels, and other people's tools as a good user writes them."""

from collections.abc import Mapping
from typing import Protocol

from runtime.bench import c_peer, jax_peer, numpy_peer, sklearn_peer, torch_peer
from runtime.bench.c_peer import CPeer
from runtime.bench.jax_peer import JaxPeer
from runtime.bench.numpy_peer import NumPyPeer
from runtime.bench.ours import Ours
from runtime.bench.sklearn_peer import SklearnPeer
from runtime.bench.torch_peer import CompiledTorchPeer, TorchPeer, TutorialTorchPeer
from runtime.bench.workload import Array, Order, Params, Workload
from runtime.data.sparse_rows import Inputs, as_array
from runtime.errors import InputError, InternalError

OURS = "gradwright"
# peer -> the module that must be there, how it is called, and the extra that installs it
PEERS: Mapping[str, tuple[str, str, str | None]] = {
    "torch": ("torch", "PyTorch", "torch"),
    "torch-compile": ("torch", "PyTorch", "torch"),
    "torch-tutorial": ("torch", "PyTorch", "torch"),
    "jax": ("jax", "JAX", "bench"),
    "jax-step": ("jax", "JAX", "bench"),
    "sklearn": ("sklearn", "scikit-learn", "bench"),
    "numpy": ("numpy", "NumPy", None),
    "c": ("ctypes", "our own C", None),
}
ON_REQUEST = ("torch-tutorial", "c")  # not PyTorch at its best; a yardstick of ours
ONE_THREAD = ("c",)  # whatever is asked for
# contender -> what is imported before its clock for a cold start begins
IMPORTS: Mapping[str, tuple[str, ...]] = {
    OURS: ("sympy", "numba", "scipy.linalg.cython_blas", "codegen.compile", "codegen.generation"),
    "torch": ("torch",),
    "torch-compile": ("torch", "torch._dynamo"),
    "torch-tutorial": ("torch", "torch.utils.data"),
    "jax": ("jax",),
    "jax-step": ("jax",),
    "sklearn": ("sklearn.neural_network",),
    "numpy": ("numpy",),
    "c": ("sympy", "codegen.generation"),
}


class Contender(Protocol):
    """Someone who can do the work."""

    def train(self, params: Params, epochs: int, order: Order | None = None) -> None:
        """Train `params` in place, in the given order (epochs, N) or shuffled anew."""


def contender(name: str, work: Workload, X: Inputs, Y: Array, threads: int) -> Contender:
    """Return the contender of that name, ready to run; ours alone takes compressed rows as such.

    Raises
    ------
    InputError
        If it cannot compute this network.
    """
    if reason := why_not(name, work):
        raise InputError(f"{name}: {reason}.")
    if name == OURS:
        return Ours(work, X, Y, threads)
    X = as_array(X)
    match name:
        case "torch":
            return TorchPeer(work, X, Y, threads)
        case "torch-compile":
            return CompiledTorchPeer(work, X, Y, threads)
        case "torch-tutorial":
            return TutorialTorchPeer(work, X, Y, threads)
        case "jax" | "jax-step":
            return JaxPeer(work, X, Y, threads, whole=name == "jax")
        case "sklearn":
            return SklearnPeer(work, X, Y)
        case "numpy":
            return NumPyPeer(work, X, Y)
        case "c":
            return CPeer(work, X, Y)
    raise InternalError(f"no contender is called {name!r}")


def why_not(name: str, work: Workload) -> str | None:
    """Return why a peer cannot do this work, or None."""
    match name:
        case "torch-compile":
            return torch_peer.refusal_to_compile(work)
        case "torch-tutorial":
            return torch_peer.refusal_of_tutorial(work)
        case "jax" | "jax-step":
            return jax_peer.refusal(work)
        case "sklearn":
            return sklearn_peer.refusal(work)
        case "numpy":
            return numpy_peer.refusal(work)
        case "c" if not c_peer.is_there():
            return f"there is no C compiler called {c_peer.COMPILER}"
    return None


def difference(name: str, work: Workload) -> str | None:
    """Return what a peer computes differently, so that its result cannot be compared, or None."""
    return sklearn_peer.difference(work) if name == "sklearn" else None
