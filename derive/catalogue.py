"""Layers by definition alone: each is what it *is*, forward, in index notation.

A function returns the forward `Program` of one layer, with an output ``P`` and a scalar
``loss = sum of R ∘ P`` for a given ``R``, so that all of the package applies: gradients by
the one rule, rewriting, proofs, second order, printing, evaluation. No derivative stands
here. ``B`` is the batch; other sizes are positive integers or names.

Examples
--------
>>> import derive
>>> program = derive.gradient_program(derive.catalogue.layer_norm())
>>> print(derive.rewrite_program(program).statement("dg"))
dg[j] = Σ_i dP[i,j] N[i,j]

`derive.vjp_program` differentiates the input as well:

>>> program = derive.vjp_program(derive.catalogue.residual(), of="P", inputs=("X",))
>>> print(program.statement("dX"))
dX[i,j] = dP[i,j] + Σ_k dZ1[i,k] W1[k,j]
"""

import math

import sympy
from sympy import Expr, Piecewise

from derive.convolutions import convolution_1d, convolution_2d
from derive.errors import InputError
from derive.layer_definition import LayerDefinition, SizeLike, checked_size, exact, total
from derive.program import BATCH, Program, Tensor

__all__ = [
    "attention",
    "convolution_1d",
    "convolution_2d",
    "dropout",
    "embedding",
    "layer_norm",
    "residual",
]


def layer_norm(features: SizeLike = "n", *, eps: float = 1e-5) -> Program:
    """Return layer normalisation: each row to mean 0 and variance 1, then gain and bias.

    Parameters
    ----------
    features
        Length n of a row: ``X (B, n)``, gain ``g (n,)``, bias ``b (n,)``, ``P (B, n)``.
    eps
        Added to the variance, above 0.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016,
    equations 3 and 4; ``eps`` as in every implementation.

    Examples
    --------
    >>> print(layer_norm().statement("N"))
    N[i,j] = C[i,j]/sigma[i]
    """
    if not 0 < eps < math.inf:
        raise InputError(f"eps: {eps!r} is not above 0 and finite; a constant row needs it to be.")
    layer = LayerDefinition()
    n = checked_size("features", features)
    X = layer.input("X", BATCH, n)
    g, b = layer.parameter("g", n), layer.parameter("b", n)
    mean = layer.value("mean", (BATCH,), lambda i: total(n, lambda k: X[i, k]) / n, "mean")
    C = layer.value("C", X.shape, lambda i, k: X[i, k] - mean[i], "centred")
    var = layer.value("var", (BATCH,), lambda i: total(n, lambda k: C[i, k] ** 2) / n, "variance")
    sigma = layer.value(
        "sigma", (BATCH,), lambda i: sympy.sqrt(var[i] + exact(eps)), "standard deviation"
    )
    N = layer.value("N", X.shape, lambda i, k: C[i, k] / sigma[i], "normalised")
    P = layer.value("P", (BATCH, n), lambda i, k: g[k] * N[i, k] + b[k], "gain and bias")
    return layer.program(P)


def residual(features: SizeLike = "n", hidden: SizeLike = "m") -> Program:
    """Return a residual block: its input plus two affine maps with relu between them.

    Parameters
    ----------
    features, hidden
        Sizes n and m: ``X (B, n)``, ``W1 (m, n)``, ``b1 (m,)``, ``W2 (n, m)``, ``b2 (n,)``,
        ``P (B, n)``.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition",
    CVPR 2016, equation 1: y = F(x) + x with F = W2 relu(W1 x), biases included.

    Examples
    --------
    >>> print(residual().statement("P"))
    P[i,j] = F[i,j] + X[i,j]
    """
    layer = LayerDefinition()
    n, m = checked_size("features", features), checked_size("hidden", hidden)
    X = layer.input("X", BATCH, n)
    W1, b1 = layer.parameter("W1", m, n), layer.parameter("b1", m)
    W2, b2 = layer.parameter("W2", n, m), layer.parameter("b2", n)
    Z1 = _affine(layer, "Z1", X, W1, b1)
    H1 = layer.value(
        "H1", Z1.shape, lambda i, j: Piecewise((Z1[i, j], Z1[i, j] > 0), (0, True)), "relu"
    )
    F = _affine(layer, "F", H1, W2, b2)
    P = layer.value("P", X.shape, lambda i, k: X[i, k] + F[i, k], "residual connection")
    return layer.program(P)


def dropout(features: SizeLike = "n", outputs: SizeLike = "m", *, rate: float = 0.5) -> Program:
    """Return dropout by a given mask, scaled to keep the mean, before an affine map.

    Parameters
    ----------
    features, outputs
        Sizes n and m: ``X (B, n)``, mask ``M (B, n)`` of 0 and 1, ``W (m, n)``, ``b (m,)``,
        ``P (B, m)``.
    rate
        How often an entry of the mask is 0: at least 0 and below 1.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a
    simple way to prevent neural networks from overfitting", JMLR 15, 2014, section 4; scaled
    by 1/(1 − rate) in training, as in section 10.

    Examples
    --------
    >>> print(dropout(rate=0.2).statement("H"))
    H[i,j] = 5 M[i,j] X[i,j] / 4
    """
    if not 0 <= rate < 1:
        raise InputError(f"rate: {rate!r} is not at least 0 and below 1.")
    layer = LayerDefinition()
    n, m = checked_size("features", features), checked_size("outputs", outputs)
    X, M = layer.input("X", BATCH, n), layer.input("M", BATCH, n)
    W, b = layer.parameter("W", m, n), layer.parameter("b", m)
    keep = 1 - exact(rate)
    H = layer.value("H", X.shape, lambda i, k: X[i, k] * M[i, k] / keep, "dropout")
    return layer.program(_affine(layer, "P", H, W, b))


def attention(
    length: SizeLike = "n", features: SizeLike = "d", keys: SizeLike = "c", values: SizeLike = "m"
) -> Program:
    """Return self-attention with one head, each sequence to itself.

    Parameters
    ----------
    length, features, keys, values
        Sizes n, d, c and m: ``X (B, n, d)``, ``WQ (c, d)``, ``WK (c, d)``, ``WV (m, d)``,
        ``P (B, n, m)``.

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017, equation 1:
    softmax(Q Kᵀ / √c) V with Q = X WQᵀ, K = X WKᵀ, V = X WVᵀ.

    Examples
    --------
    >>> print(attention().statement("S"))
    S[i,j,k] = Σ_m Q[i,j,m] K[i,k,m] / √c
    """
    layer = LayerDefinition()
    n, d = checked_size("length", length), checked_size("features", features)
    c, m = checked_size("keys", keys), checked_size("values", values)
    X = layer.input("X", BATCH, n, d)
    WQ, WK = layer.parameter("WQ", c, d), layer.parameter("WK", c, d)
    WV = layer.parameter("WV", m, d)

    def projection(name: str, W: Tensor) -> Tensor:
        return layer.value(
            name,
            (BATCH, n, W.shape[0]),
            lambda i, q, j: total(d, lambda k: X[i, q, k] * W[j, k]),
            "linear map",
        )

    Q, K, V = projection("Q", WQ), projection("K", WK), projection("V", WV)
    S = layer.value(
        "S",
        (BATCH, n, n),
        lambda i, q, k: total(c, lambda j: Q[i, q, j] * K[i, k, j]) / sympy.sqrt(c),
        "scores",
    )
    A = layer.value(
        "A",
        (BATCH, n, n),
        lambda i, q, k: sympy.exp(S[i, q, k]) / total(n, lambda r: sympy.exp(S[i, q, r])),
        "softmax over the keys",
    )
    P = layer.value(
        "P",
        (BATCH, n, m),
        lambda i, q, j: total(n, lambda k: A[i, q, k] * V[i, k, j]),
        "attention",
    )
    return layer.program(P)


def embedding(words: SizeLike = "v", features: SizeLike = "n") -> Program:
    """Return the embedding of integers: to each its row of a table.

    The sum over the table's rows keeps the one whose number is given; a number that is that
    of no row gives a row of zeros.

    Parameters
    ----------
    words, features
        Sizes v and n: the table ``W (v, n)``, integers ``T (B,)`` from 0 to v − 1 (as real
        numbers), ``P (B, n)``.

    References
    ----------
    Y. Bengio, R. Ducharme, P. Vincent and C. Jauvin, "A neural probabilistic language
    model", JMLR 3, 2003, section 2 (the matrix C).

    Examples
    --------
    >>> print(embedding().statement("P"))
    P[i,j] = Σ_k W[k,j] where(k == T[i], 1, 0)
    """
    layer = LayerDefinition()
    v, n = checked_size("words", words), checked_size("features", features)
    T, W = layer.input("T", BATCH), layer.parameter("W", v, n)

    def entry(i: Expr, j: Expr) -> Expr:
        return total(v, lambda k: Piecewise((1, sympy.Eq(T[i], k)), (0, True)) * W[k, j])

    return layer.program(layer.value("P", (BATCH, n), entry, "row of a table"))


def _affine(layer: LayerDefinition, name: str, X: Tensor, W: Tensor, b: Tensor) -> Tensor:
    def entry(i: Expr, j: Expr) -> Expr:
        return total(W.shape[1], lambda k: X[i, k] * W[j, k]) + b[j]

    return layer.value(name, (BATCH, W.shape[0]), entry, "affine map")
