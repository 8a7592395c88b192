"""A penalty whose number is given when training starts, and the loss that the steps see.

``alpha`` is shared by the samples of a batch, as in scikit-learn's MLPClassifier: the loss of a
batch whose weights sum to w has ``l2/2`` times the sum of the squared weights added, with
``l2 = alpha/w``. The loss of each batch before its step, which the step computes on its way, is
kept: its mean over an epoch costs no evaluation.

What the penalty adds to a gradient is derived with all the rest, and is ``l2 W`` for the weights:
`codegen.generation` makes sure of it. That is a decay of the weights, which every optimiser has, so
that a product which makes a gradient still runs over the inputs that are not 0 alone.
"""

from collections.abc import Mapping

INDENT = "    "

NO_PENALTY = dict.fromkeys(
    (
        "begin_running",
        "batch_weight",
        "batch_l2",
        "keep_loss",
        "keep_running",
        "step_result",
    ),
    "",
)

KEYWORD_TEXT = f"""\
{INDENT}alpha : float
{INDENT * 2}The loss of a batch has alpha/(2 w) times the sum of the squared weights added, where
{INDENT * 2}w is the sum of its samples' weights (their number, where no weights are given).
{INDENT}losses : (epochs,) float64, optional
{INDENT * 2}Is filled with the mean over each epoch of what a batch's loss was before its step,
{INDENT * 2}penalty included, batches weighing as they have samples.
"""

_CHECK = f"""\
{INDENT}alpha = _option("alpha", alpha)
{INDENT}if losses is None:
{INDENT * 2}losses = np.empty(epochs)
{INDENT}if not isinstance(losses, np.ndarray) or losses.dtype != np.float64:
{INDENT * 2}raise ValueError(f"losses is {{losses!r}}; expected an array of float64 to fill")
{INDENT}if losses.shape != (epochs,) or not losses.flags.carray:
{INDENT * 2}shape = losses.shape
{INDENT * 2}raise ValueError(f"losses has shape {{shape}}; expected {{(epochs,)}}, contiguous")
"""


def penalty_placeholders(values: Mapping[str, str]) -> dict[str, str]:
    """Return the changes of what an optimiser puts into the templates, for a penalty."""
    return {
        "keywords": f"{values['keywords']}{INDENT}alpha=0.0,\n{INDENT}losses=None,\n",
        "keyword_text": values["keyword_text"] + KEYWORD_TEXT,
        "check_options": values["check_options"] + _CHECK,
        "given": f"{values['given']}, DTYPE(alpha)",
        "given_arrays": f"{values['given_arrays']} losses,",
        "train_takes": f"{values['train_takes']}, alpha",
        "train_arrays": f"{values['train_arrays']} losses,",
        "begin_running": f"{INDENT * 2}running = 0.0  # what the steps see of the loss\n",
        "batch_weight": "weight = ",
        "batch_l2": f"{INDENT * 3}l2 = alpha / weight if weight > T(0) else T(0)\n",
        "keep_loss": "running += count * ",
        "step_given": f"l2, {values['step_given']}",
        "placed_step": f"T(0), {values['placed_step']}",
        "step_result": ", ${numba_type}",
        "keep_running": f"{INDENT * 3}losses[epoch] = running / samples\n",
    }


def penalty_work(
    parameters: Mapping[str, tuple[int, ...]], sparse_weights: str | None
) -> dict[str, int]:
    """Return the lengths of the arrays that the sums of squares need, by name."""
    matrices = {name: shape for name, shape in parameters.items() if len(shape) == 2}
    return {
        f"squares_{name}": max(shape) if name == sparse_weights else shape[0]
        for name, shape in matrices.items()
    }


def penalty_sums(
    parameters: Mapping[str, tuple[int, ...]], sparse_weights: str | None
) -> list[str]:
    """Return the lines that sum the squares of each row of weights, this thread's."""
    lines = ["# what large weights cost: l2/2 times the sum of their squares"]
    for name, shape in parameters.items():
        if len(shape) != 2:
            continue
        dense = [
            "for j in range(first, last):",
            f"{INDENT}squares_{name}[j] = _dot({name}[j], {name}[j])",
        ]
        lines.append(f"first, last = _share({name}.shape[0], 1, team)")
        if name != sparse_weights:
            lines += dense
            continue
        row = f"{name}_by_input[k * ROW : (k + 1) * ROW]"
        lines += [
            "if chosen.size:",
            f"{INDENT}for k in range(first_input, end_input):",
            f"{INDENT * 2}squares_{name}[k] = _dot({row}, {row})",
            "else:",
            *(INDENT + line for line in dense),
        ]
    return lines


def penalty_lines(parameters: Mapping[str, tuple[int, ...]], numbers: tuple[str, ...]) -> list[str]:
    """Return the lines that add the penalty to the loss, and to the decay of the weights."""
    first, *others = (name for name, shape in parameters.items() if len(shape) == 2)
    decaying = ", ".join("weight_decay + l2" if n == "weight_decay" else n for n in numbers)
    return [
        f"squares = _total(squares_{first})",
        *(f"squares += _total(squares_{other})" for other in others),
        "loss += l2 * squares / T(2)",
        f"{', '.join(numbers)} = numbers",
        f"decaying = {decaying}",
    ]
