"""For a PyTorch user: a loop of PyTorch's over generated kernels, and out again as ONNX.

    pip install 'gradwright[torch,onnx]'     # and onnxruntime, to have it run the file
    python examples/pytorch_user.py

The network is a `torch.nn.Module`: any loop, optimiser and scheduler trains it. Beside it the same
start is trained as PyTorch's own layers; how far apart their probabilities get is printed.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import nll_loss

import runtime
from runtime.data.circles import circles

EPOCHS, BATCH = 60, 20


def main() -> None:
    data = circles()
    X, X_test = torch.from_numpy(data.X_train).float(), torch.from_numpy(data.X_test).float()
    y = torch.from_numpy(data.Y_train.argmax(1))
    net = runtime.as_torch_module("2-16:silu-2:log_softmax")
    layers = net.to_sequential()
    for network in (net, layers):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        order = torch.Generator().manual_seed(0)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(X), generator=order).split(BATCH):
                optimizer.zero_grad()
                nll_loss(network(X[batch]), y[batch]).backward()
                optimizer.step()
    with torch.no_grad():
        P, other = net(X_test).exp().numpy(), layers(X_test).exp().numpy()
    right = (P.argmax(1) == data.Y_test.argmax(1)).mean()
    print(net)
    print(f"test accuracy {right:.2%}")
    print(f"against PyTorch's own layers, trained alike: {np.abs(P - other).max():.1e}")

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        runtime.export_onnx(net.portable(), file)
        if find_spec("onnxruntime"):
            from onnxruntime import InferenceSession

            run = np.exp(InferenceSession(file).run(None, {"X": X_test.numpy()})[0])
            print(f"against onnxruntime: {np.abs(P - run).max():.1e}")
        again = runtime.import_onnx(file)
    arrays = net.arrays()
    print("weights back:", all(np.array_equal(again.params[name], arrays[name]) for name in arrays))


if __name__ == "__main__":
    main()
