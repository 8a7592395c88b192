"""Networks inside PyTorch: gradients against its own, and parameters that come back bit by bit."""

import copy
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn, inputs
from emitted import in_numpy, same_bytes
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from torch import nn

import runtime
from runtime.data.scaling import Scaling
from runtime.errors import InputError
from runtime.torch_sequential import from_sequential, to_sequential

LAB = "2-10-2"
HALF = "2-5:tanh-4:sigmoid-3:relu-5:softplus-4:elu-3:softmax"
OTHER_HALF = "2-5:gelu-4:silu-3:identity-2:log_softmax"


@pytest.fixture(scope="module")
def portable() -> Any:
    return drawn(LAB, "float64")


@pytest.fixture
def module(portable: Any) -> Any:
    return runtime.as_torch_module(portable)


def points(count: int = 7, dtype: torch.dtype = torch.float64, **rest: Any) -> torch.Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=dtype, **rest)


def test_gradcheck_in_inputs_and_all_parameters(module: Any) -> None:
    names = [name for name, _ in module.named_parameters()]
    assert names == ["W1", "b1", "W2", "b2"]

    def outputs(X: torch.Tensor, *params: torch.Tensor) -> Any:
        return torch.func.functional_call(module, dict(zip(names, params, strict=True)), (X,))

    X = points(requires_grad=True)
    assert torch.autograd.gradcheck(outputs, (X, *module.parameters()))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_trains_as_its_own_layers_do(
    module: Any, dtype: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype == "float32":  # in plain NumPy, which has the same interface and no compiler
        kernels = in_numpy(LAB, dtype=dtype)
        monkeypatch.setattr("runtime.torch_kernels._kernels", lambda network, asked: kernels)
    ours = module.to(getattr(torch, dtype))
    theirs = ours.to_sequential()
    X = points(dtype=ours.W1.dtype)
    target = torch.softmax(X.flip(0), 1)
    losses = []
    for network in (ours, theirs):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(network(X), target)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)
    assert abs(losses[0] - losses[1]) < tolerance
    assert losses[0] < nn.functional.mse_loss(runtime_start(dtype)(X), target).item()


def runtime_start(dtype: str) -> Any:
    return runtime.as_torch_module(drawn(LAB, dtype))


def test_frozen_parameters_get_no_gradient(module: Any) -> None:
    module.W1.requires_grad_(False)
    module(points()).square().sum().backward()
    assert module.W1.grad is None
    assert module.b1.grad.abs().max() > 0


def test_any_leading_axes_and_an_empty_batch(module: Any) -> None:
    X = points(12)
    whole = module(X)
    assert torch.equal(module(X.reshape(3, 4, 2)), whole.reshape(3, 4, 2))
    torch.testing.assert_close(module(X[5]), whole[5])
    assert module(X[:0]).shape == (0, 2)
    module(X[:0]).sum().backward()
    assert module.W1.grad.abs().max() == 0


def test_inputs_and_cotangents_of_any_layout(module: Any) -> None:
    X = points(8)
    strided = torch.stack([X, X], 1)[:, 0].t().contiguous().t()
    assert not strided.is_contiguous()
    assert torch.equal(module(strided), module(X))
    P = module(strided)
    P.backward(torch.ones(1, 1, dtype=P.dtype).expand_as(P))  # one number in memory
    kept = module.b2.grad.clone()
    assert kept.abs().max() < 1e-12  # each row of a softmax sums to 1, whatever b2 is
    assert module.W1.grad.shape == (10, 2)


def test_second_derivatives_are_refused_and_not_taken_for_zero(module: Any) -> None:
    X = points(requires_grad=True)
    (slope,) = torch.autograd.grad(module(X)[:, 0].sum(), X, create_graph=True)
    with pytest.raises(InputError, match=r"second derivatives.*to_sequential"):
        slope.square().sum().backward()


@pytest.mark.parametrize("text", [LAB, HALF, OTHER_HALF])
def test_sequential_computes_the_same_and_comes_back_exactly(text: str) -> None:
    given = drawn(text, "float64")
    sequence = to_sequential(given.network, given.params)
    X = inputs(given)
    expected = in_numpy(text, dtype="float64").forward(given.params, X)
    np.testing.assert_allclose(sequence(torch.from_numpy(X)).detach(), expected, atol=1e-13)
    found = from_sequential(sequence)
    assert found.network == given.network
    assert same_bytes(found.params, given.params)
    linears = [layer for layer in sequence if isinstance(layer, nn.Linear)]
    assert np.array_equal(linears[0].weight.detach(), given.params["W1"])  # as documented


def test_state_dict_round_trips(module: Any, portable: Any) -> None:
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = runtime.as_torch_module(LAB, dtype="float64", seed=5)
    assert not torch.equal(other.W1, module.W1)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert same_bytes(other.arrays(), portable.params)
    again = runtime.as_torch_module(module.to_sequential())
    assert same_bytes(again.portable().params, portable.params)
    assert again.network == module.network
    assert torch.equal(copy.deepcopy(module)(points()), module(points()))


def test_others_read_our_safetensors(portable: Any, tmp_path: Path) -> None:
    folder = portable.save(tmp_path / "run")
    assert same_bytes(
        load_file(folder / "model.safetensors"), dict(sorted(portable.params.items()))
    )
    tensors = load_tensors(folder / "model.safetensors")
    fresh = runtime.as_torch_module(LAB, dtype="float64")
    fresh.load_state_dict(tensors)
    assert same_bytes(fresh.arrays(), portable.params)
    assert same_bytes(runtime.as_torch_module(folder).arrays(), portable.params)


def test_a_new_network_is_drawn_from_its_seed_alone() -> None:
    torch.manual_seed(1)
    one = runtime.as_torch_module(LAB, seed=2)
    other = runtime.as_torch_module(LAB, seed=2)
    assert torch.equal(one.W1, other.W1)
    one.to_sequential()
    drawn_after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn_after)  # PyTorch's own generator was not touched
    assert str(one) == "GeneratedModule(2-10-2)"


@pytest.mark.filterwarnings("ignore")  # of the tracer, about Python's own sources
def test_torch_compile_leaves_it_as_it_is(module: Any) -> None:
    X = points()
    whole = torch.compile(nn.Sequential(module, nn.Linear(2, 1).double()), backend="eager")
    assert torch.equal(whole(X), whole._orig_mod(X))
    whole(X).sum().backward()
    assert module.W1.grad.abs().max() > 0


CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "other device": (lambda m: m(points().to("meta")), "on meta, and the kernels run on the CPU"),
    "parameters elsewhere": (lambda m: m.to("meta")(points()), "W1: on meta"),
    "other type": (lambda m: m(points().float()), "inputs: torch.float32, and the parameters are"),
    "half": (lambda m: m.half()(points().half()), "Expected float32 or float64"),
    "other size": (lambda m: m(torch.zeros(4, 3).double()), r"shape \(4, 3\), expected \(..., 2\)"),
    "a number": (lambda m: m(torch.zeros(()).double()), r"shape \(\)"),
}


@pytest.mark.parametrize(("call", "message"), CALLS.values(), ids=CALLS)
def test_calls_refused(module: Any, call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(module)


class Doubled(nn.Linear):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(X)


def hooked() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda module, given, found: 2 * found)
    return layer


def unbounded() -> nn.Module:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.bias, np.inf)
    return layer


SEQUENCES: dict[str, tuple[Callable[[], list[nn.Module]], str]] = {
    "nothing": (lambda: [], "no Linear"),
    "convolution": (
        lambda: [nn.Linear(2, 2), nn.Conv1d(2, 2, 1)],
        r"sequence\[1\], Conv1d: not a layer of ours. Known: Linear, ELU",
    ),
    "dropout": (lambda: [nn.Linear(2, 2), nn.Dropout()], r"Dropout: not a layer"),
    "activation first": (lambda: [nn.Tanh(), nn.Linear(2, 2)], "before the first Linear"),
    "two activations": (lambda: [nn.Linear(2, 2), nn.Tanh(), nn.ReLU()], "second activation"),
    "no bias": (lambda: [nn.Linear(2, 2, bias=False)], "no bias"),
    "derived class": (lambda: [Doubled(2, 2)], "before the first Linear"),
    "derived class later": (lambda: [nn.Linear(2, 2), Doubled(2, 2)], "Doubled: not a layer"),
    "hook": (lambda: [hooked()], "hooks"),
    "alpha": (lambda: [nn.Linear(2, 2), nn.ELU(alpha=2)], "Expected alpha=1"),
    "beta": (lambda: [nn.Linear(2, 2), nn.Softplus(beta=2)], "Expected beta=1"),
    "gelu by tanh": (lambda: [nn.Linear(2, 2), nn.GELU("tanh")], "approximate="),
    "softmax of columns": (lambda: [nn.Linear(2, 2), nn.Softmax(dim=0)], "dim=-1 or 1"),
    "half": (lambda: [nn.Linear(2, 2).half()], "float16"),
    "two types": (lambda: [nn.Linear(2, 2), nn.Linear(2, 2).double()], "all float32 or all"),
    "sizes": (lambda: [nn.Linear(2, 3), nn.Linear(4, 2)], "parameters: "),
    "no numbers": (lambda: [nn.Linear(2, 2, device="meta")], "device meta"),
    "infinite": (lambda: [unbounded()], "b1 is not finite"),
    "one output": (lambda: [nn.Linear(2, 1), nn.Softmax(1)], "nothing can be learnt"),
}


@pytest.mark.parametrize(("layers", "message"), SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_refused(layers: Callable[[], list[nn.Module]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runtime.as_torch_module(nn.Sequential(*layers()))


SOURCES: dict[str, tuple[Callable[[], Any], str]] = {
    "a module": (lambda: nn.Linear(2, 2), "expected nn.Sequential"),
    "a number": (lambda: 3, "int: not a trained network"),
    "sizes that are names": (lambda: "nx-nh-ny", "every size as an integer"),
    "no folder": (lambda: Path("nowhere"), "does not exist"),
    "scaled inputs": (
        lambda: drawn(LAB, scaling=Scaling(kind="minmax", shift=np.zeros(2), unit=np.ones(2))),
        r"result\.scaled",
    ),
}


@pytest.mark.parametrize(("source", "message"), SOURCES.values(), ids=SOURCES)
def test_sources_refused(source: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runtime.as_torch_module(source())


def test_what_torch_has_no_module_for_is_refused() -> None:
    given = drawn("2-3:sin-2")
    with pytest.raises(InputError, match=r'layers\[1\].*no module for "sin"'):
        to_sequential(given.network, given.params)


def test_without_torch_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"torch\.nn\.Module needs it.*gradwright\[torch\]"):
        runtime.as_torch_module(LAB)
