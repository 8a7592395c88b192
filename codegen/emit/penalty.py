"""A penalty whose number is given when training starts, and the loss that the steps see.

``alpha`` is shared by the samples of a batch, as in scikit-learn's MLPClassifier: the loss of a
batch whose weights sum to w has ``alpha/(2 w)`` times the sum of the squared weights added. The
loss of each batch before its step, which the step computes on its way, is kept: its mean over
an epoch costs no evaluation.
"""

from collections.abc import Mapping

INDENT = "    "

NO_PENALTY = dict.fromkeys(
    ("begin_running", "batch_weight", "batch_l2", "keep_loss", "keep_rest", "given_l2"), ""
) | {"placed_l2": "", "keep_running": ""}

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
        "given": f"{values['given']}, DTYPE(alpha), losses",
        "train_takes": f"{values['train_takes']}, alpha, losses",
        "begin_running": f"{INDENT * 2}running = 0.0  # what the steps see of the loss\n",
        "batch_weight": "weight = ",
        "batch_l2": f"{INDENT * 3}l2 = alpha / weight if weight > T(0) else T(0)\n",
        "keep_loss": "running += size * ",
        "keep_rest": "running += rest * ",
        "given_l2": "l2, ",
        "placed_l2": "T(0), ",
        "keep_running": f"{INDENT * 3}losses[epoch] = running / samples\n",
    }
