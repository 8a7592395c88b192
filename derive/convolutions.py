"""Convolutions by definition: sums over shifted reads, as `derive.shifts` has them."""

from dataclasses import dataclass
from typing import final

from sympy import Expr

from derive.errors import InputError
from derive.layer_definition import LayerDefinition, SizeLike, checked_size, total
from derive.program import BATCH, Program, size


def convolution_1d(
    channels: SizeLike = "c",
    length: SizeLike = "n",
    filters: SizeLike = "o",
    kernel: SizeLike = "k",
    outputs: SizeLike = "m",
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Program:
    """Return a convolution along one axis, as networks have it: the kernel is not reversed.

    ``P[i,o,t] = b[o] + sum over c and p of X[i, c, stride t + dilation p − padding] W[o,c,p]``,
    where X is 0 outside of its axis.

    Parameters
    ----------
    channels, length, filters, kernel, outputs
        Sizes c, n, o, k and m: ``X (B, c, n)``, ``W (o, c, k)``, ``b (o,)``, ``P (B, o, m)``.
        Where n and k are numbers, so is m; where they are names, m is given by `R`.
    stride, padding, dilation
        Positions between outputs, zeros in front, positions between the kernel's entries. One of
        stride and dilation must be 1: else no index can be solved for by itself.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE 86(11), 1998, section II; V. Dumoulin and
    F. Visin, "A guide to convolution arithmetic for deep learning", 2016, for the sizes.

    Examples
    --------
    >>> import derive
    >>> print(derive.vjp_program(convolution_1d(), of="P", inputs=("X",)).statement("dX"))
    dX[i,j,k] = Σ_p Σ_m dP[i,p,k−m] W[p,j,m]
    """
    steps = _Steps(stride=stride, padding=padding, dilation=dilation)
    layer = LayerDefinition()
    c, n, o, k = _sizes(channels=channels, length=length, filters=filters, kernel=kernel)
    m = steps.outputs(outputs, n, k)
    X = layer.input("X", BATCH, c, n)
    W, b = layer.parameter("W", o, c, k), layer.parameter("b", o)

    def entry(i: Expr, j: Expr, t: Expr) -> Expr:
        return b[j] + total((c, k), lambda r, p: X[i, r, steps.place(t, p)] * W[j, r, p])

    return layer.program(layer.value("P", (BATCH, o, m), entry, "convolution"))


def convolution_2d(
    channels: SizeLike = "c",
    image: tuple[SizeLike, SizeLike] = ("n1", "n2"),
    filters: SizeLike = "o",
    kernel: tuple[SizeLike, SizeLike] = ("k1", "k2"),
    outputs: tuple[SizeLike, SizeLike] = ("m1", "m2"),
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Program:
    """Return a convolution along two axes; for all else see `convolution_1d`.

    Parameters
    ----------
    channels, image, filters, kernel, outputs
        Sizes: ``X (B, c, n1, n2)``, ``W (o, c, k1, k2)``, ``b (o,)``, ``P (B, o, m1, m2)``.
    stride, padding, dilation
        As in `convolution_1d`, the same along both axes.

    Notes
    -----
    A proof counts entries: give small numbers for the sizes, as ``convolution_2d(1, (3, 4), 2,
    (2, 2))``. Names get numbers that all differ, from 2 to 10, and take many minutes.

    Examples
    --------
    >>> print(convolution_2d(padding=1).statement("P"))
    P[i,j,k,m] = Σ_r Σ_q Σ_p X[i,r,k+q−1,m+p−1] W[j,r,q,p] + b[j]
    """
    steps = _Steps(stride=stride, padding=padding, dilation=dilation)
    layer = LayerDefinition()
    c, o = _sizes(channels=channels, filters=filters)
    n1, n2 = _sizes(height=image[0], width=image[1])
    k1, k2 = _sizes(height=kernel[0], width=kernel[1])
    m1 = steps.outputs(outputs[0], n1, k1)
    m2 = steps.outputs(outputs[1], n2, k2)
    X = layer.input("X", BATCH, c, n1, n2)
    W, b = layer.parameter("W", o, c, k1, k2), layer.parameter("b", o)

    def entry(i: Expr, j: Expr, t: Expr, u: Expr) -> Expr:
        return b[j] + total(
            (c, k1, k2),
            lambda r, p, q: X[i, r, steps.place(t, p), steps.place(u, q)] * W[j, r, p, q],
        )

    return layer.program(layer.value("P", (BATCH, o, m1, m2), entry, "convolution"))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """How a kernel moves along an axis."""

    stride: int
    padding: int
    dilation: int

    def __post_init__(self) -> None:
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"{name}: {value!r} is not an integer from {least} on.")
        if self.stride > 1 and self.dilation > 1:
            raise InputError(
                f"stride {self.stride} with dilation {self.dilation}: which outputs an entry "
                "reaches is then a matter of divisibility, which index notation does not carry. "
                "Make one of them 1."
            )

    def place(self, t: Expr, p: Expr) -> Expr:
        """Return the position that output `t` reads by entry `p` of the kernel."""
        return self.stride * t + self.dilation * p - self.padding

    def outputs(self, given: SizeLike, length: Expr, kernel: Expr) -> Expr:
        """Return how many outputs there are: by arithmetic, or by name where sizes are names."""
        if not (length.is_Integer and kernel.is_Integer):
            return checked_size("outputs", given)
        room = int(length) + 2 * self.padding - self.dilation * (int(kernel) - 1) - 1
        if room < 0:
            raise InputError(
                f"kernel: {kernel} entries do not fit into {length} with padding {self.padding}."
            )
        return size(room // self.stride + 1)


def _sizes(**sizes: SizeLike) -> tuple[Expr, ...]:
    return tuple(checked_size(what, value) for what, value in sizes.items())
