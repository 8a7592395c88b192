"""What is computed: the same data, start and settings for every contender."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from runtime.data.sparse_rows import Inputs, SparseRows, as_array
from runtime.errors import InputError
from runtime.settings import MOST_EPOCHS

if TYPE_CHECKING:
    from derive.spec import NetworkSpec

Array = NDArray[np.floating[Any]]
Params = dict[str, Array]
Order = NDArray[np.int64]  # of the samples, (epochs, N)

SAMPLES = 2_000  # of the synthetic data for a network of the user's
_SEED = 0
_SAMPLES_OF = {"circles": 200, "mnist": 60_000}
# target -> network, samples per step, epochs of a run: the lab's own for the named sets
_DEFAULTS = {"circles": ("2-10-2", 10, 150), "mnist": ("784-100-10", 100, 10)}
_SYNTHETIC = (100, 10)  # samples per step, epochs of a run


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A run of stochastic gradient descent, from the same start whenever it is repeated.

    Attributes
    ----------
    data
        ``"circles"``, ``"mnist"`` or ``"synthetic"``.
    spec, loss, define, l2, labels
        The network and what is minimised, as the user writes them.
    sizes, activations
        The network as `derive.spec.parse_spec` reads it.
    samples, batch, epochs
        Size of the training set, samples per step, epochs of a run.
    eta
        Learning rate.
    dtype
        ``"float32"`` or ``"float64"``.
    sparse
        Whether our kernels skip inputs that are 0, as for `Settings`.
    """

    data: str
    spec: str
    loss: str
    define: tuple[str, ...]
    l2: float
    labels: str
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    samples: int
    batch: int
    epochs: int
    eta: float
    dtype: str
    sparse: str = "auto"

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last may be of fewer samples."""
        return -(-self.samples // self.batch)

    @property
    def learns_classes(self) -> bool:
        """Whether the targets are one-hot labels; else they are numbers."""
        return self.loss not in ("mse", "mae", "huber") or self.activations[-1] != "identity"

    def network(self) -> "NetworkSpec":
        """Return the network."""
        from derive.spec import parse_spec  # SymPy comes with it

        return parse_spec(self.spec, loss=self.loss, define=self.define, l2=self.l2)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Workload":
        """Return the workload that `to_json` wrote down."""
        pairs = {name: tuple(content[name]) for name in ("sizes", "activations", "define")}
        return cls(**{**content, **pairs})


def workload(
    target: str,
    *,
    batch: int | None = None,
    epochs: int | None = None,
    dtype: str = "float32",
    sparse: str = "auto",
    loss: str = "cross-entropy",
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
) -> Workload:
    """Return the work that a target stands for.

    Parameters
    ----------
    target
        ``circles``, ``mnist``, or a network, which gets 2,000 samples of synthetic data.
    batch
        Samples per step, if not the target's own number.
    epochs
        Epochs of a run, if not the target's own number.
    dtype, labels
        As for `codegen.generate`.
    sparse
        As for `Settings`.
    loss, define, l2
        As for `derive.parse_spec`.

    Raises
    ------
    InputError
        If the target is not known, a size of the network is a name, or the batch is not
        from 1 to the number of samples, or the number of epochs not from 1 to `MOST_EPOCHS`.
    """
    from derive.spec import parse_spec  # SymPy comes with it

    if target in _DEFAULTS:
        text, own_batch, own_epochs = _DEFAULTS[target]
        data, samples = target, _SAMPLES_OF[target]
    elif "-" in target:
        text, (own_batch, own_epochs) = target, _SYNTHETIC
        data, samples = "synthetic", SAMPLES
    else:
        raise InputError(
            f'target: "{target}" is not known. Expected {", ".join(_DEFAULTS)}, or a network '
            "such as 784-256-10."
        )
    spec = parse_spec(text, loss=loss, define=define, l2=l2)
    chosen = own_batch if batch is None else batch
    if not 1 <= chosen <= samples:
        raise InputError(f"batch: {chosen}. Expected a number from 1 to {samples}, all samples.")
    if epochs is not None and not 1 <= epochs <= MOST_EPOCHS:
        raise InputError(f"epochs: {epochs}. Expected a number from 1 to {MOST_EPOCHS}.")
    return Workload(
        data=data,
        spec=str(spec),
        loss=spec.loss,
        define=tuple(map(str, spec.definitions)),
        l2=spec.l2,
        labels=labels,
        sizes=_integer_sizes(spec),
        activations=spec.activations,
        samples=samples,
        batch=chosen,
        epochs=own_epochs if epochs is None else epochs,
        eta=0.03,
        dtype=dtype,
        sparse=sparse,
    )


def training_set(work: Workload, *, offline: bool = False) -> tuple[Array, Array]:
    """Return the inputs (N, n0) and the targets (N, nL).

    Synthetic inputs are standard normal, labels uniform, and where the network learns
    numbers so are the targets normal.

    Raises
    ------
    InputError, RunError
        If MNIST cannot be had.
    """
    X, Y = given_set(work, offline=offline, sparse="never")
    return as_array(X), Y


def given_set(work: Workload, *, offline: bool, sparse: str) -> tuple[Inputs, Array]:
    """Return what `training_set` does, images as compressed rows where `sparse` says so.

    It is one of `runtime.settings.SPARSE`, and means what it does in `DataOptions`.
    """
    if work.data == "circles":
        from runtime.data.circles import circles

        rings = circles()
        X, Y = as_array(rings.X_train), rings.Y_train
    elif work.data == "mnist":
        from runtime.data.mnist import MNIST, load_images

        digits = load_images(MNIST, offline=offline, sparse=sparse)
        if isinstance(digits.X_train, SparseRows):
            return digits.X_train.astype(work.dtype), digits.Y_train.astype(work.dtype)
        X, Y = digits.X_train, digits.Y_train
    else:
        rng = np.random.Generator(np.random.PCG64(_SEED))
        X = rng.standard_normal((work.samples, work.sizes[0]), dtype=np.float32)
        if work.learns_classes:
            classes = rng.integers(0, work.sizes[-1], work.samples)
            Y = np.eye(work.sizes[-1], dtype=np.float32)[classes]
        else:
            Y = rng.standard_normal((work.samples, work.sizes[-1]), dtype=np.float32)
    return np.ascontiguousarray(X, work.dtype), np.ascontiguousarray(Y, work.dtype)


def start(work: Workload) -> Params:
    """Return the initial parameters: weights normal, biases 0.

    The deviation of the weights is the lab's 0.3 on the named sets; else it is one over the
    root of the layer's inputs, with which a network of any size learns without overflow.
    """
    rng = np.random.Generator(np.random.PCG64(_SEED))
    params: Params = {}
    for layer, (inputs, units) in enumerate(
        zip(work.sizes[:-1], work.sizes[1:], strict=True), start=1
    ):
        scale = inputs**-0.5 if work.data == "synthetic" else 0.3
        params[f"W{layer}"] = (scale * rng.standard_normal((units, inputs))).astype(work.dtype)
        params[f"b{layer}"] = np.zeros(units, work.dtype)
    return params


def one_order(work: Workload) -> NDArray[np.int64]:
    """Return one order of the samples for an epoch (1, N), on which contenders must agree."""
    rng = np.random.Generator(np.random.PCG64(_SEED))
    return rng.permutation(work.samples)[None].astype(np.int64)


def batches(order: NDArray[np.int64], batch: int) -> Iterator[NDArray[np.int64]]:
    """Yield the samples of each step of an epoch; the last may be fewer."""
    for first in range(0, len(order), batch):
        yield order[first : first + batch]


def _integer_sizes(spec: "NetworkSpec") -> tuple[int, ...]:
    sizes = []
    for number, size in enumerate(spec.sizes):
        if isinstance(size, str):
            raise InputError(
                f'network: sizes[{number}] is called "{size}"; a run needs numbers. '
                "Write every size as an integer, for example 2-10-2."
            )
        sizes.append(size)
    return tuple(sizes)
