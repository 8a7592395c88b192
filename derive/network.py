"""From a specification to the programme of its loss."""

from dataclasses import replace
from functools import lru_cache
from itertools import product

import sympy
from sympy import Expr, Rational

from derive.body_slopes import slopes
from derive.check import check_program
from derive.constancy import is_constant
from derive.definitions import (
    ACTIVATIONS,
    LOSSES,
    Activation,
    Loss,
    Row,
    Sample,
    log_likelihood,
    own_activation,
    own_loss,
)
from derive.errors import InputError
from derive.formula_tree import Definition
from derive.gradient import gradient_program
from derive.indices import canonical, fresh, target_indices
from derive.program import BATCH, Program, Statement, Sum, Tensor, index, size
from derive.spec import NetworkSpec, parse_spec

_FEW = 3  # units of the network at which a loss is tried
_SCALES = (1.0, 30.0, 1e3, 1e6)  # of its parameters: a slope may begin far out


def loss_program(
    spec: NetworkSpec | str,
    *,
    weighted: bool = False,
    penalty: bool = False,
    shared: bool = False,
) -> Program:
    """Return the programme that computes a network's output and its loss.

    Parameters
    ----------
    spec
        The network, or its text.
    weighted
        Multiply the loss of sample i by an input ``w[i]``, in place of ``1/B``. With
        ``w[i] = 1/B``, or sample weights divided by their sum, that is the (weighted)
        mean over the batch.
    penalty
        Add ``l2/2`` times the sum of the squares of the weights, with an input ``l2`` for its
        number, beside what the specification adds.
    shared
        With `weighted`: multiply what the specification adds for large weights by the sum of
        ``w``. That is 1 for a whole batch, and its share for a part of one.

    Returns
    -------
    Program
        Inputs ``X (B, n0)``, ``Y (B, nL)``, ``W{l} (n_l, n_{l-1})`` and ``b{l} (n_l,)``;
        statements ``Z{l} = H{l-1} W{l}ᵀ + 1 b{l}ᵀ``, ``H{l} = act(Z{l})``, the output
        ``P`` and the scalar ``loss``.

    Raises
    ------
    InputError
        If `spec` is text that cannot be read, or its loss is a formula that does not
        change with the output, such as ``sum(sign(P))``, or ``sum(P)`` after softmax, or an
        activation of the user's own has slope 0 everywhere, such as ``sign(z)``.
    """
    if isinstance(spec, str):
        spec = parse_spec(spec)
    program = _program(spec, weighted=weighted, penalty=penalty, shared=shared)
    _refuse_flat(spec, program.statement("loss"))
    if spec.formula is not None:
        _refuse_constant(spec, program.statement("loss"))
    return program


def _program(
    spec: NetworkSpec, *, weighted: bool, penalty: bool = False, shared: bool = False
) -> Program:
    sizes = [size(value) for value in spec.sizes]
    X = Tensor(name="X", shape=(BATCH, sizes[0]))
    Y = Tensor(name="Y", shape=(BATCH, sizes[-1]))
    parameters: list[Tensor] = []
    statements: list[Statement] = []
    H = X
    for layer in range(1, spec.depth + 1):
        W = Tensor(name=f"W{layer}", shape=(sizes[layer], sizes[layer - 1]))
        b = Tensor(name=f"b{layer}", shape=(sizes[layer],))
        Z = Tensor(name=f"Z{layer}", shape=(BATCH, sizes[layer]))
        name = "P" if layer == spec.depth else f"H{layer}"
        parameters += [W, b]
        statements.append(_affine(Z, H, W, b))
        H = Tensor(name=name, shape=Z.shape)
        statements.append(_activate(H, Z, spec, layer))
    inputs = [X, Y, *parameters]
    w = Tensor(name="w", shape=(BATCH,))
    if weighted:
        inputs.append(w)
    total = _total_loss(spec, Y, H, Z, w if weighted else None, parameters, shared=shared)
    if penalty:
        l2 = Tensor(name="l2", shape=())
        inputs.append(l2)
        total = _penalised(total, l2, parameters)
    statements.append(total)
    return check_program(
        Program(
            inputs=tuple(inputs),
            parameters=tuple(parameter.name for parameter in parameters),
            statements=tuple(statements),
            outputs=("P", "loss"),
        )
    )


def _refuse_flat(spec: NetworkSpec, loss: Statement) -> None:
    """Refuse an activation with slope 0 everywhere, unless the loss reads what is before it."""
    for layer, name in enumerate(spec.activations, 1):
        own = spec.definition(name)
        if own is None or (layer == spec.depth and f"Z{layer}" in loss.reads()):
            continue
        if _is_flat(own):
            raise InputError(
                f'define: "{own}" has slope 0 everywhere, so nothing can be learnt through it. '
                "Use an activation that changes with its argument."
            )


@lru_cache(maxsize=256)
def _is_flat(definition: Definition) -> bool:
    k = index("k")
    z = Tensor(name="Z", shape=(size(1),))
    row = Row(entry=lambda place: z[place], extent=z.shape[0])
    return is_constant(own_activation(definition)(row, k), z[k])


def _refuse_constant(spec: NetworkSpec, loss: Statement) -> None:
    """Refuse a loss that teaches nothing: its slope in the output is 0 wherever one looks."""
    sloped = any(True for name in ("P", f"Z{spec.depth}") for _ in slopes(loss.body, name))
    outputs = min(n, _FEW) if isinstance(n := spec.sizes[-1], int) else _FEW
    last = replace(spec, sizes=(_FEW, outputs), activations=spec.activations[-1:], l2=0.0)
    if not sloped or not _teaches(last):
        raise InputError(
            f'loss: "{spec.loss}" has slope 0 everywhere in the output, so nothing can be '
            "learnt from it. Use a loss that changes with P or Z."
        )


@lru_cache(maxsize=64)
def _teaches(last: NetworkSpec) -> bool:
    """Whether a last layer alone, made small, has a gradient other than 0 at random numbers.

    ``sum(P)`` of a softmax is 1 whatever its inputs, which no formula of its slope says. Code
    generation asks for one network's programme several times, so the answer is kept.
    """
    import numpy as np  # only a formula of the user's own needs numbers here

    from derive.error_bound import evaluate_with_bound

    gradient = gradient_program(_program(last, weighted=False))
    generator = np.random.default_rng(0)
    for scale, low in product(_SCALES, (-1.0, 0.1)):  # logarithms and roots want what is positive
        values = {
            tensor.name: (scale if tensor.name in gradient.parameters else 1.0)
            * generator.uniform(
                low, 1, [_FEW if extent == BATCH else int(extent) for extent in tensor.shape]
            )
            for tensor in gradient.inputs
        }
        found, bound = evaluate_with_bound(gradient, values, "float64")["dW1"]
        says_nothing = np.isnan(found).any() and scale == _SCALES[0]  # and is not refused
        if says_nothing or (np.abs(found) > bound).any():
            return True
    return False


def _affine(Z: Tensor, H: Tensor, W: Tensor, b: Tensor) -> Statement:
    i, k = indices = target_indices(Z.shape)
    m = fresh()
    body = Sum(H[i, m] * W[k, m], (m, 0, W.shape[1] - 1)) + b[k]
    return _define(Z, indices, body, "affine map")


def _activate(H: Tensor, Z: Tensor, spec: NetworkSpec, layer: int) -> Statement:
    i, k = indices = target_indices(H.shape)
    name = spec.activations[layer - 1]
    own = spec.definition(name)
    activation: Activation = ACTIVATIONS[name] if own is None else own_activation(own)
    return _define(H, indices, activation(_row(Z, i), k), name)


def _total_loss(
    spec: NetworkSpec,
    Y: Tensor,
    P: Tensor,
    Z: Tensor,
    w: Tensor | None,
    parameters: list[Tensor],
    *,
    shared: bool,
) -> Statement:
    """Return the mean of the samples' losses, and what large weights cost."""
    i = fresh()
    sample = Sample(P=_row(P, i), Y=_row(Y, i), Z=_row(Z, i))
    value = _loss(spec)(sample)
    body = Sum(value / BATCH if w is None else w[i] * value, (i, 0, BATCH - 1))
    what = spec.loss
    if spec.l2:
        rate = Rational(repr(spec.l2))  # the decimal that was written
        cost = rate / 2 * _squared_weights(parameters)
        if shared and w is not None:
            k = fresh()
            cost *= Sum(w[k], (k, 0, BATCH - 1))
        body += cost
        what += f" + {spec.l2:g}/2 times the squares of the weights"
    return _define(Tensor(name="loss", shape=()), (), body, what)


def _loss(spec: NetworkSpec) -> Loss:
    if spec.loss == "cross-entropy" and spec.activations[-1] == "log_softmax":
        return log_likelihood
    return LOSSES[spec.loss] if spec.formula is None else own_loss(spec.formula)


def _penalised(loss: Statement, l2: Tensor, parameters: list[Tensor]) -> Statement:
    """Return the statement of a loss with a penalty whose number is an input."""
    what = loss.origin[0].removeprefix("definition: ")
    body = loss.body + l2[()] / 2 * _squared_weights(parameters)
    return _define(loss.target, (), body, f"{what} + l2/2 times the squares of the weights")


def _squared_weights(parameters: list[Tensor]) -> Expr:
    return sympy.Add(*(_squares(tensor) for tensor in parameters if len(tensor.shape) == 2))


def _squares(W: Tensor) -> Expr:
    j, k = fresh(), fresh()
    return Sum(W[j, k] ** 2, (k, 0, W.shape[1] - 1), (j, 0, W.shape[0] - 1))


def _row(tensor: Tensor, i: Expr) -> Row:
    return Row(entry=lambda k: tensor[i, k], extent=tensor.shape[1])


def _define(target: Tensor, indices: tuple[Expr, ...], body: Expr, what: str) -> Statement:
    return Statement(
        target=target,
        indices=indices,
        body=canonical(body, indices),
        origin=(f"definition: {what}",),
    )
