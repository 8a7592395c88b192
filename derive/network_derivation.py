"""A network's derivation in one call, as a value that prints itself in every format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from sympy import Eq

from derive.errors import InputError
from derive.gradient import gradient_program
from derive.names import lab_names
from derive.network import loss_program
from derive.printing import Form
from derive.program import Program
from derive.rewrite import rewrite_program
from derive.second_order import hvp_program
from derive.spec import DEFAULT_LOSS, NetworkSpec, parse_spec
from derive.stable import stable_program

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from derive.evaluate import Array
    from derive.proof import Certificate

NAMES = ("plain", "lab")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A network and its gradients as formulas; what `derivation` returns.

    Attributes
    ----------
    spec
        The network.
    program
        Forward statements, gradients, and the steps that led to them.
    certificate
        What was proved of it, if that was asked for.
    """

    spec: NetworkSpec
    program: Program
    certificate: "Certificate | None" = None

    def report(
        self,
        format_: str = "text",
        *,
        form: Form = "matrix",
        steps: bool = False,
        expand: bool = False,
    ) -> str:
        """Return the whole derivation in one of `derive.writers.FORMATS`.

        Parameters
        ----------
        format_
            ``"text"``, ``"latex"`` (a document that compiles as it stands), ``"markdown"``,
            ``"html"`` (a page of its own) or ``"json"``.
        form
            ``"matrix"``, or ``"index"`` for entry by entry.
        steps
            Whether the steps that led to each statement are told. JSON always holds them.
        expand
            Whether each gradient is also written out as one formula.

        Raises
        ------
        InputError
            If the format is not known, or the gradients are too long to be written out.
        """
        from derive.document import document
        from derive.json_form import json_report
        from derive.writers import write

        if format_ == "json":
            return json_report(
                self.program, self.spec, form=form, expand=expand, certificate=self.certificate
            )
        told = document(
            self.program,
            self.spec,
            form=form,
            steps=steps,
            expand=expand,
            certificate=self.certificate,
            sound=stable_program(self.program) if steps else None,
        )
        return write(told, format_)

    def evaluate(
        self, values: Mapping[str, Any], *, dtype: "DTypeLike" = "float64"
    ) -> "dict[str, Array]":
        """Return the value of every statement by name, for an array for every input.

        Raises
        ------
        InputError
            If an array is missing or has another shape, or if a row of ``Y`` does not sum to 1
            where the derivation used that (``labels="one-hot"``).
        """
        return self.program.evaluate(values, dtype=dtype)

    def to_sympy(self) -> dict[str, Eq]:
        """Return every statement by name as an equation of SymPy."""
        return self.program.to_sympy()

    def __str__(self) -> str:
        """Write the derivation as ``gradwright derive`` does."""
        return self.report().rstrip("\n")

    def _repr_latex_(self) -> str:
        return self.program._repr_latex_()

    def _repr_html_(self) -> str:
        from derive.document import document
        from derive.html_report import write_html_fragment

        return write_html_fragment(document(self.program, self.spec, certificate=self.certificate))


def derivation(
    spec: NetworkSpec | str,
    *,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    l2: float = 0.0,
    labels: str = "one-hot",
    names: str = "plain",
    hvp: bool = False,
    prove: bool = False,
) -> Derivation:
    """Derive the gradients of a network.

    Parameters
    ----------
    spec
        The network, or its text, such as ``"2-10-2"``.
    loss, define, l2
        As in `derive.parse_spec`, if `spec` is text.
    labels
        ``"one-hot"`` uses that every row of ``Y`` sums to 1 where that helps; ``"any"`` does
        not.
    names
        ``"plain"`` or ``"lab"``.
    hvp
        Whether the gradients are differentiated again, along a direction.
    prove
        Whether the gradients are proved, and with `hvp` the products with the Hessian;
        `certificate` says what was shown and how.

    Returns
    -------
    Derivation

    Raises
    ------
    InputError
        If the text cannot be read, or an option is not known.

    Examples
    --------
    >>> import numpy as np
    >>> import derive
    >>> lab = derive.derivation("2-10-2")
    >>> print(lab)  # doctest: +ELLIPSIS
    Network 2-10-2, cross-entropy loss, mean over a batch of B samples
    ...
      dZ1 = dH1 ∘ (1 − H1 ∘ H1)        (B, 10)
    ...
    >>> lab.to_sympy()["dZ1"]
    Eq(dZ1[i, j], (1 - H1[i, j]**2)*dH1[i, j])
    >>> values = {
    ...     "X": np.eye(2), "Y": np.eye(2), "W1": np.ones((10, 2)), "b1": np.zeros(10),
    ...     "W2": np.ones((2, 10)), "b2": np.zeros(2),
    ... }
    >>> print(lab.evaluate(values)["loss"].round(6))
    0.693147
    >>> page = lab.report("html", steps=True)
    """
    if names not in NAMES:
        raise InputError(f'names: "{names}" is not known. Expected plain or lab.')
    network = parse_spec(spec, loss=loss, define=define, l2=l2) if isinstance(spec, str) else spec

    def derived(network: NetworkSpec) -> Program:
        program = rewrite_program(gradient_program(loss_program(network)), labels=labels)
        if hvp:
            program = rewrite_program(hvp_program(program), labels=labels)
        return lab_names(program) if names == "lab" else program

    certificate = None
    if prove:
        from derive.proof import prove_network

        certificate = prove_network(network, derived)
    return Derivation(spec=network, program=derived(network), certificate=certificate)
