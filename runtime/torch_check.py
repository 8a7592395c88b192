"""Kernels against PyTorch autograd, entry by entry within a running error bound.

Two programs that are both right still differ by rounding. How far they may is computed, not
guessed: `derive.error_bound` follows the derived programme through the very numbers of the
comparison, once in the kernels' type and once in the oracle's, and gives every entry a bound.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from runtime.check_cases import Case, extreme_cases, ordinary_case
from runtime.check_report import CheckReport, Comparison, compare
from runtime.errors import InputError
from runtime.kernel_file import foreign_code
from runtime.torch_oracle import load_torch, loss_and_gradients, names_of, oracle_output

if TYPE_CHECKING:
    from derive.program import Program

Array = NDArray[Any]
Shapes = dict[str, tuple[int, ...]]

DTYPES = ("float32", "float64")
NEEDED = ("PARAMETERS", "DTYPE", "init_params", "forward", "loss_and_gradients")
DEFAULT_BATCH = 37  # not a multiple of any vector's width
LARGEST_BATCH = 100_000
MOST_PARAMETERS = 20_000_000


def check(
    spec: NetworkSpec | str,
    *,
    kernels: Any = None,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    dtype: str | None = None,
    batch: int = DEFAULT_BATCH,
    seed: int = 0,
) -> CheckReport:
    """Compare a network's kernels with PyTorch autograd in float64.

    Parameters
    ----------
    spec
        The network, or its text.
    kernels
        An emitted module, or anything with its ``PARAMETERS``, ``DTYPE``, ``init_params``,
        ``forward`` and ``loss_and_gradients``; by default they are generated here.
    loss, define, l2
        What is minimised, where `spec` is text; as for `derive.parse_spec`.
    labels
        As for `derive.rewrite_program`. Unless ``"any"``, the rows of Y sum to 1 where the
        derivation has used it.
    dtype
        Type of the kernels; by default that of `kernels`, or float64.
    batch
        Number of samples to compare on.
    seed
        Draws parameters, inputs and targets.

    Returns
    -------
    CheckReport
        ``ok`` tells whether loss, output and every gradient are within their bounds, and
        finite at extreme inputs. Print it for a table.

    Raises
    ------
    InputError
        If an argument is out of range, PyTorch is missing, or `kernels` does not fit the
        network or raises.
    """
    network = spec
    if isinstance(network, str):
        network = parse_spec(network, loss=loss, define=define, l2=l2)
    shapes = _shapes(network)
    for name, number, least, most in (
        ("batch", batch, 1, LARGEST_BATCH),
        ("seed", seed, 0, 2**63 - 1),
    ):
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise InputError(f"{name}: {number!r}. Expected a whole number from {least} to {most}.")
    load_torch()
    if kernels is None:
        runner = _Runner(_generated(network, _known(dtype or "float64"), labels), guarded=False)
    else:
        runner = _Runner(kernels, guarded=True)
        runner.require(shapes, dtype)
    program = _program(network, labels)
    case = ordinary_case(
        network,
        shapes,
        batch=batch,
        seed=seed,
        dtype=runner.dtype,
        rows_sum_to_one=_rows_sum_to_one(program, network),
    )
    compared = _compared(runner, network, program, case)
    from runtime.run_record import versions

    return CheckReport(
        spec=str(network),
        loss_name=network.loss,
        dtype=runner.dtype,
        batch=batch,
        loss=compared["loss"],
        output=compared["P"],
        gradients=tuple(compared[name] for name in shapes),
        problems=tuple(_problems(runner, network, program, case)),
        versions=versions(),
    )


def spec_of(
    kernels: Any,
    spec: str | None = None,
    *,
    loss: str | None = None,
    define: Sequence[str] | None = None,
    l2: float | None = None,
) -> NetworkSpec:
    """Return the network that kernels were generated for.

    What is given goes before the kernels' own ``SPEC``, ``LOSS``, ``DEFINITIONS`` and ``L2``.

    Raises
    ------
    InputError
        If neither the kernels nor the caller say what the network is.
    """
    text = spec if spec is not None else getattr(kernels, "SPEC", None)
    if not isinstance(text, str):
        raise InputError(
            "kernels: without a SPEC. Expected a module as `gradwright generate` writes it; for "
            "another one, name the network: gradwright check SPEC --kernels FILE."
        )
    own_l2 = getattr(kernels, "L2", 0.0)
    own_definitions = getattr(kernels, "DEFINITIONS", ())
    return parse_spec(
        text,
        loss=str(getattr(kernels, "LOSS", DEFAULT_LOSS)) if loss is None else loss,
        define=[str(one) for one in own_definitions] if define is None else define,
        l2=(float(own_l2) if isinstance(own_l2, int | float) else 0.0) if l2 is None else l2,
    )


@final
class _Runner:
    """Calls kernels with arrays of their type, and keeps their errors apart from ours."""

    def __init__(self, kernels: Any, *, guarded: bool) -> None:
        self.kernels = kernels
        self.guarded = guarded

    @property
    def dtype(self) -> str:
        """Name of the type in which the kernels compute."""
        with foreign_code("kernels: DTYPE"):
            return _known(np.dtype(self.kernels.DTYPE).name)

    def require(self, shapes: Shapes, dtype: str | None) -> None:
        """Raise `InputError` unless the kernels are of this network and type."""
        missing = [name for name in NEEDED if not hasattr(self.kernels, name)]
        if missing:
            raise InputError(
                f"kernels: without {', '.join(missing)}. Expected a module as "
                "`gradwright generate` writes it without --names lab; one with the lab's names "
                "checks itself: python FILE."
            )
        if dtype is not None and _known(dtype) != self.dtype:
            raise InputError(
                f"dtype: {dtype}, but the kernels compute in {self.dtype}. Leave --dtype out."
            )
        with foreign_code("kernels: PARAMETERS"):
            found = {str(name): tuple(shape) for name, shape in self.kernels.PARAMETERS.items()}
        wrong = [name for name in (*shapes, *found) if found.get(name) != shapes.get(name)]
        if wrong:
            has, needs = (made.get(wrong[0], "is not there") for made in (found, shapes))
            raise InputError(
                f"kernels: PARAMETERS[{wrong[0]!r}]: {has}, in the network to compare with: "
                f"{needs}. Give the network that the kernels were generated for."
            )

    def results(self, case: Case) -> dict[str, Any]:
        """Return what the kernels compute: the loss, the output P, gradients by parameter."""
        answer = self._call("loss_and_gradients", case.params, case.X, case.Y)
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
            raise InputError(
                f"kernels: loss_and_gradients returns {type(answer).__name__}, expected a pair "
                "of the loss and a dict of gradients."
            )
        loss, gradients = answer
        return {**gradients, "loss": loss, "P": self._call("forward", case.params, case.X)}

    def _call(self, name: str, *arguments: Any) -> Any:
        # copies: no kernel may change what it is judged by
        given = [self._converted(argument) for argument in arguments]
        function = getattr(self.kernels, name)
        with foreign_code(f"kernels: {name}") if self.guarded else nullcontext():
            return function(*given)

    def _converted(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: array.astype(self.dtype) for name, array in value.items()}
        return value.astype(self.dtype)


def _compared(
    runner: _Runner, spec: NetworkSpec, program: "Program", case: Case
) -> dict[str, Comparison]:
    """Compare the loss, the output, and the gradient in each parameter."""
    from derive.error_bound import evaluate_with_bound

    bounds = evaluate_with_bound(program, case.values(), runner.dtype)
    oracle_bounds = evaluate_with_bound(program, case.values(), "float64")
    oracle, results = _oracle(spec, case), runner.results(case)
    return {
        name: compare(
            name,
            results.get(name),
            oracle[name],
            bounds[statement][1] + oracle_bounds[statement][1],
        )
        for name, statement in _statements(program).items()
    }


def _problems(runner: _Runner, spec: NetworkSpec, program: "Program", case: Case) -> Iterator[str]:
    """Yield what is not finite at extreme inputs although it should be.

    It should where the stable programme or PyTorch is: neither alone is to be trusted, since
    one of them may be the mistake. Gradients of a loss that is itself infinite are nobody's.
    """
    from derive.evaluate import evaluate

    largest = float(np.finfo(runner.dtype).max)
    for what, extreme in extreme_cases(spec, case, runner.dtype):
        derived = evaluate(program, extreme.values(), dtype=np.longdouble)
        oracle, results = _oracle(spec, extreme), runner.results(extreme)
        for name, statement in _statements(program).items():
            expected = (np.abs(derived[statement]) < largest) | (np.abs(oracle[name]) < largest)
            if name == "loss" and not expected:
                break
            result = np.asarray(results.get(name))
            if result.shape != expected.shape or result.dtype.kind not in "fiu":
                continue  # the comparison has said so
            bad = result[expected & ~np.isfinite(result)]
            if bad.size:
                label = name if name in ("loss", "P") else f"d{name}"
                yield f"{label} is {bad[0]} with {what}, expected a finite number"


def _oracle(spec: NetworkSpec, case: Case) -> dict[str, Array]:
    value, gradients = loss_and_gradients(spec, case.params, case.X, case.Y)
    output = oracle_output(spec, case.params, case.X)
    return {**gradients, "loss": np.asarray(value), "P": output}


def _statements(program: "Program") -> dict[str, str]:
    """Return the statement that is compared, by the name in the report."""
    return {"P": "P", "loss": "loss", **program.gradients}


def _program(spec: NetworkSpec, labels: str) -> "Program":
    """Return the derived programme whose rounding is followed: the form that kernels compute."""
    from derive.gradient import gradient_program
    from derive.network import loss_program
    from derive.rewrite import rewrite_program
    from derive.stable import stable_program

    return stable_program(rewrite_program(gradient_program(loss_program(spec)), labels=labels))


def _rows_sum_to_one(program: "Program", spec: NetworkSpec) -> bool:
    from derive.program import ONE_HOT

    return ONE_HOT in program.assumptions or spec.loss == "cross-entropy"


def _generated(spec: NetworkSpec, dtype: str, labels: str) -> Any:
    import codegen

    return codegen.compile_module(codegen.generate(spec, dtype=dtype, labels=labels))


def _known(dtype: str) -> str:
    if dtype not in DTYPES:
        raise InputError(f'dtype: "{dtype}" is not known. Known: {", ".join(DTYPES)}.')
    return dtype


def _shapes(spec: NetworkSpec) -> Shapes:
    for value in spec.sizes:
        if isinstance(value, str):
            raise InputError(
                f'network: the size "{value}" is a name, and a check computes with numbers. '
                "Write every size as an integer, for example 2-10-2."
            )
    sizes = [int(value) for value in spec.sizes]
    pairs = zip(sizes[1:], sizes, strict=False)
    shapes = [shape for n, m in pairs for shape in ((n, m), (n,))]
    count = sum(int(np.prod(shape)) for shape in shapes)
    if count > MOST_PARAMETERS:
        raise InputError(
            f"network: {count} parameters; at most {MOST_PARAMETERS} are compared. "
            "Check a narrower network of the same form."
        )
    return dict(zip(names_of(spec), shapes, strict=True))
