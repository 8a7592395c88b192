"""What the templates of a module leave open: its sizes, its batches, and its calls of kernels."""

from collections.abc import Mapping

from codegen.emit.kernel_parts import kernel_inputs
from codegen.emit.pieces import ROWS_SUM_TO_ONE, indented, reference_lines
from codegen.kernel import KernelProgram
from derive.program import ONE_HOT


def network_placeholders(
    sizes: tuple[int, ...],
    output: str,
    dtype: str,
    *,
    blas: bool,
    by_rows: bool,
    sparse: bool,
    checked: tuple[str, ...],
) -> dict[str, str]:
    """Return what follows from the network alone, and how a batch is gathered.

    Parameters
    ----------
    sizes, output, dtype
        The network's sizes, its last activation, and its type.
    blas
        Whether any product goes through BLAS; then nothing pads a batch.
    by_rows
        Whether a batch of inputs is stored sample after sample.
    sparse
        Whether inputs may be given without those that are 0.
    checked
        What the kernels take for granted about the targets.
    """
    n_in, n_out = sizes[0], sizes[-1]
    samples = "0 if is_sparse else n" if sparse else "n"
    one_hot = ONE_HOT in checked
    gather_by_rows = [
        f"ahead = order[_fewer(first + ${{shard_begin}}i + {_AHEAD}, order.size - 1)]",
        "for line in range(0, data.strides[0], 64):",
        "    _prefetch(data.ctypes.data + ahead * data.strides[0] + line)",
        f"for m in range({n_in}):",
        "    X[i, m] = data[sample, m]",
    ]
    if sparse:
        gather_by_rows = ["if X.size:", *(f"    {line}" for line in gather_by_rows)]
    gather_by_columns = [f"for m in range({n_in}):", "    X[m, i] = data[sample, m]"]
    padding = (
        "The batch is as long as the samples that it holds."
        if blas
        else "What pads the batch repeats its last sample, with weight 0."
    )
    return {
        "n_in": str(n_in),
        "n_out": str(n_out),
        "n_in_out": str(n_in + n_out),
        "gemm": "sgemm" if dtype == "float32" else "dgemm",
        "numba_type": f"types.{dtype}",
        "bits": dtype.removeprefix("float"),
        "padded": "n" if blas else "-(-n // LANES) * LANES",
        "gather_padding": padding,
        "gather_x": indented(gather_by_rows if by_rows else gather_by_columns, 8),
        "prefetch": _PREFETCH,
        "ahead": str(_AHEAD),
        "x_shape": f"({samples}, {n_in})" if by_rows else f"({n_in}, {samples})",
        "held": "_one_blas_thread()" if blas else "nullcontext()",
        "with_blas": "with _one_blas_thread():\n            " if blas else "",
        "count_hits": indented(_hit_lines(n_out, output), 8),
        "check_rows": "    _rows_sum_to_one(y_name, Y)" if one_hot else "",
        "rows_function": ROWS_SUM_TO_ONE if one_hot else "",
        "if_one_hot": ", or a row of Y does not sum to 1" if one_hot else "",
        "tolerance": "2e-3" if dtype == "float32" else "1e-6",
    }


def call_placeholders(
    n_in: int, n_out: int, by_rows: bool, values: Mapping[str, str]
) -> dict[str, str]:
    """Return how the interface calls the kernels, whose arrays are stored samples last."""
    written = {
        "N_IN": str(n_in),
        "N_OUT": str(n_out),
        "STORED": "X" if by_rows else "_batch_last(X, n)",
        ", NO_NONZEROS": values["no_nonzeros"],
        "PLACE": values["place_products"],
    }
    calls = dict(_CALLS)
    for name, value in written.items():
        calls = {call: text.replace(name, value) for call, text in calls.items()}
    return calls


_PLACE_EVALUATION = """
        if evaluate:
            _place_evaluation()"""
_COMPILE_AND_TRAIN = """
        if not _train.overloads:
            _compile(_train, training)
        _train(*training)"""

_DRAW_ORDER = [
    "order = np.zeros(samples, np.int64)",
    "_write_order(order, seed, epoch % 2**63)",
    "return order",
]

_CALLS = {
    "call_forward": """\
    n = _padded(count)
    P = np.zeros((N_OUT, n), DTYPE)
    _forward(values, _stored(X, n), P, _forward_work(n))
    return np.ascontiguousarray(P[:, :count].T)""",
    "call_loss": """\
    n = w.size
    P = np.zeros((N_OUT, n), DTYPE)
    PLACEreturn float(_loss(values, X, Y, w, P, _loss_work(n), NO_NONZEROS))""",
    "call_gradients": """\
    gradients = {name: np.zeros(shape, DTYPE) for name, shape in PARAMETERS.items()}
    value = _gradients(values, X, Y, w, *gradients.values(), _gradients_work(w.size))
    return float(value), gradients""",
    "call_vjp": """\
    dX = np.zeros((N_IN, count), DTYPE)
    cotangent = _batch_last(dP, count)
    _vjp(values, _stored(X, count), cotangent, dX, *gradients.values(), _vjp_work(count))
    return np.ascontiguousarray(dX.T), gradients""",
    "store_samples": '''\
    return _stored(X, count), _batch_last(Y, count), w


def _batch_last(array, n):
    """Return (B, k) as (k, n); what pads the batch repeats its last sample."""
    stored = np.empty((array.shape[1], n), DTYPE)
    stored[:, : array.shape[0]] = array.T
    stored[:, array.shape[0] :] = array[-1][:, None]
    return stored


def _stored(X, n):
    """Return the inputs as the kernels store them."""
    return STORED''',
}
_CALL_HVP = """\
    products = {name: np.zeros(shape, DTYPE) for name, shape in PARAMETERS.items()}
    _hvp(values, INPUTS, *products.values(), _hvp_work(w.size))
    return products"""

_AHEAD = 2  # samples; 1 and 4 were slower on MNIST

# Samples come from memory in random order: fetching 100 rows of MNIST takes a fifth of a step,
# and a quarter less where the next rows are on their way already.
_PREFETCH = '''\
@_intrinsic
def _prefetch(typing_context, address):
    """Ask for a line of memory that will be read soon."""

    def build(context, builder, signature, arguments):
        pointer, flag = cgutils.voidptr_t, ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", (pointer,), kind)
        place = builder.inttoptr(arguments[0], pointer)
        to_read, keep, data = (ir.Constant(flag, value) for value in (0, 3, 1))
        builder.call(function, [place, to_read, keep, data])
        return context.get_dummy_value()

    return types.void(types.intp), build


'''
_ONE_THREAD = "This network's steps are too small to share: it is trained by one thread."
_THREADS = (
    "How many share each step; by default what affinity and quota allow, and one where a\n"
    "        step is too small to share. For the same number results are the same bit by bit."
)


def training_placeholders(*, lanes: bool) -> dict[str, str]:
    """Return what ``train`` says of its threads, and how it is compiled and draws an order."""
    return {
        "train_is_given": "training = ",
        "compile_and_train": _PLACE_EVALUATION + _COMPILE_AND_TRAIN,
        "draw_order": indented(_DRAW_ORDER, 4),
        "threads_text": _ONE_THREAD if lanes else _THREADS,
    }


def _hit_lines(n_out: int, output: str) -> list[str]:
    if n_out == 1:
        threshold = "T(0)" if output == "identity" else "T(0.5)"
        return [f"hits += (P[0, i] > {threshold}) == (Y[0, i] > T(0.5)) and P[0, i] == P[0, i]"]
    return [
        "largest = 0",
        "target = 0",
        "known = P[0, i] == P[0, i]  # NaN is no hit",
        f"for k in range(1, {n_out}):",
        "    known = known and P[k, i] == P[k, i]",
        "    if P[k, i] > P[largest, i]:",
        "        largest = k",
        "    if Y[k, i] > Y[target, i]:",
        "        target = k",
        "hits += known and largest == target",
    ]


def second_order_placeholders(
    hvp: KernelProgram | None, gradient: KernelProgram | None, parameters: tuple[str, ...]
) -> dict[str, str]:
    """Return how `hvp` calls its kernel, and how the self-check tries it; nothing without it."""
    if hvp is None or gradient is None:
        return {"check_hvp": "", "hvp_is_finite": ""}
    read = kernel_inputs(hvp)
    given = [name for name in read if name in ("X", "Y", "w")]
    along = [f"along[{n}]" for n, name in enumerate(parameters) if f"v{name}" in read]
    given += ["*along"] if len(along) == len(parameters) else along
    names = zip(parameters, gradient.outputs, strict=True)
    results = ", ".join(f'"{name}": {grad}' for name, grad in names)
    return {
        "call_hvp": _CALL_HVP.replace("INPUTS, ", "".join(f"{name}, " for name in given)),
        "gradient_reference": indented(reference_lines(gradient, parameters), 4),
        "reference_gradients": f"{{{results}}}",
        "check_hvp": "    right = _check_hvp(params, X, Y) and right\n",
        "hvp_is_finite": (
            "    products = hvp(large, scale * X64, Y, exact)\n"
            "    finite = finite and all(np.isfinite(h).all() for h in products.values())\n"
        ),
    }
