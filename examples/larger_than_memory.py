"""Does a shuffle of blocks teach as much as a shuffle of all rows? And what does it cost?

    python examples/larger_than_memory.py                   # $GRADWRIGHT_DATA, or a download
    python examples/larger_than_memory.py --epochs 10 --threads 1

MNIST is written to NPY files sorted by class, the worst that a file can be, and trained on: in
memory; block by block, with buffers for a part of it; and in the order of the file. For each the
test accuracy, how many blocks were shuffled together, and the least seconds of an epoch after the
first.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import runtime
from runtime.blocks.streamed import StreamedDataset
from runtime.data.mnist import mnist

SPEC = "784-100-10"


def write_sorted(folder: Path) -> None:
    """Write MNIST to a folder, the training part sorted by class."""
    data = mnist()
    digits = data.Y_train.argmax(axis=1)
    order = np.argsort(digits, kind="stable")
    np.save(folder / "X_train.npy", data.X_train[order].astype(np.float32))
    np.save(folder / "y_train.npy", digits[order])
    np.save(folder / "X_test.npy", data.X_test.astype(np.float32))
    np.save(folder / "y_test.npy", data.Y_test.argmax(axis=1))


def tell(what: str, accuracy: float, seconds: float) -> None:
    print(f"{what:<52} {100 * accuracy:6.2f} %  {seconds:.3f} s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--threads", type=int)
    chosen = options.parse_args()
    settings = {"epochs": chosen.epochs, "batch": 100, "eta": 0.1}
    with tempfile.TemporaryDirectory() as name:
        write_sorted(Path(name))
        for memory in ("1GB", "64MB", "32MB", "16MB"):
            result = runtime.train(
                name, SPEC, memory=memory, threads=chosen.threads, sparse="never", **settings
            )
            data, history = result.data, result.history
            what = f"{memory}: in memory"
            if isinstance(data, StreamedDataset):
                blocks = len(data.plan.edges) - 1
                together = round(blocks * data.plan.buffer / data.train_rows)
                what = f"{memory}: {together} of {blocks} blocks shuffled together"
            seconds = np.diff(history.seconds)
            tell(what, history.test_accuracy[-1], seconds.min() if len(seconds) else np.nan)
        assert isinstance(data, StreamedDataset)
        whole, module = data.in_memory(), result.model.module
        params = module.init_params(seed=0, scale=0.3)
        order = np.tile(np.arange(whole.train_rows), (chosen.epochs, 1))
        test = whole.X_test, whole.Y_test
        history = module.train(
            params, whole.X_train, whole.Y_train, order=order, test=test, **settings
        )
        tell("in the order of the file", history[-1, 3], np.nan)


if __name__ == "__main__":
    main()
