"""Any depth at once: one derivation for a hidden layer, and induction over the layers.

A network with N hidden layers is one definition, repeated. So the rule is applied twice, and
to nothing but definitions: to the output layer N + 1 with the loss (the base case), and to a
hidden layer whose number ℓ is a symbol, as are the sizes ``n_ℓ``, with the gradient in the
layer after it given (the induction step). Nothing here is a formula of ours: both are what
`derive.gradient` and `derive.rewrite` make of the statements of `derive.network`.

`Recurrence.unrolled` puts numbers in the place of ℓ and N. `Recurrence.compared` holds the
result against the derivation of the network of that depth, which knows nothing of layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from derive.check import check_program
from derive.errors import InputError, InternalError
from derive.gradient import gradient_program, vjp_program
from derive.layer_names import DEPTH, LAYER, in_layer, lettered, names_in, numbered, renamed
from derive.network import loss_program
from derive.printing import Form
from derive.program import Program, Statement
from derive.rewrite import rewrite_program
from derive.spec import DEFAULT_LOSS, NetworkSpec, one_hidden_layer, parse_spec

if TYPE_CHECKING:
    from derive.proof import Certificate

DEPTHS = (0, 1, 2, 7)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unrolling:
    """A recurrence unrolled to one depth, beside the derivation of that network itself.

    Attributes
    ----------
    hidden
        Number of hidden layers.
    network
        The network, with a name for each size.
    statements
        How many statements its own derivation has, forward and backward.
    different
        Names of the statements that are not equal; a field of the programme if all are.
    """

    hidden: int
    network: NetworkSpec
    statements: int
    different: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether both are the same programme."""
        return not self.different


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """The gradients of networks with N hidden layers, for every N.

    Attributes
    ----------
    spec
        The activations and the loss, as a network with one hidden layer.
    labels
        What is assumed about the targets, as in `derive.rewrite_program`.
    output
        The output layer, from ``H_N`` to the loss and back to ``dZ_{N+1}``: the base case.
    layer
        A hidden layer, from ``H_{ℓ−1}`` to ``Z_{ℓ+1}``, and back from ``dZ_{ℓ+1}``: the
        induction step. Its last forward statement is that of the layer after it.
    unrollings
        How it compares with derivations of single networks.
    certificate
        What was proved of it, if that was asked for.
    """

    spec: NetworkSpec
    labels: str
    output: Program
    layer: Program
    unrollings: tuple[Unrolling, ...] = ()
    certificate: "Certificate | None" = None

    @property
    def text(self) -> str:
        """What it is a recurrence of, as it is asked for: ``N`` or ``N:relu``."""
        hidden = self.spec.activations[0]
        return "N" if hidden == "tanh" else f"N:{hidden}"

    @property
    def holds(self) -> bool:
        """Whether it gives what every single derivation compared with gives."""
        return all(unrolling.holds for unrolling in self.unrollings)

    @property
    def forward(self) -> tuple[Statement, ...]:
        """The forward statements of a hidden layer."""
        return self.layer.forward[:-1]

    @property
    def output_as_next_layer(self) -> Statement:
        """``Z_{N+1}`` as it reads where N is called ℓ: ``Z_{ℓ+1}``, if all layers are alike."""
        names = {name: name.replace(DEPTH, LAYER) for name in names_in(self.output)}
        return renamed(self.output, names).statements[0]

    def unrolled(self, hidden: int) -> Program:
        """Return the programme of a network with that many hidden layers, sizes n0, n1, …."""
        output = _at(self.output, {DEPTH: hidden})
        layers = [_at(self.layer, {LAYER: number}) for number in range(1, hidden + 1)]
        forward = (s for layer in layers for s in layer.forward[:-1])
        backward = (s for layer in reversed(layers) for s in layer.backward)
        parts = (*layers, output)
        tensors = {t.name: t for part in parts for t in part.inputs}
        parameters = tuple(name for part in parts for name in part.parameters)
        gradients = {name: grad for part in parts for name, grad in part.cotangents}
        return check_program(
            Program(
                inputs=tuple(tensors[name] for name in ("X", "Y", *parameters)),
                parameters=parameters,
                statements=(*forward, *output.statements, *backward),
                outputs=(*output.outputs[:2], *(gradients[name] for name in parameters)),
                cotangents=tuple(p for part in (output, *layers[::-1]) for p in part.cotangents),
                assumptions=tuple(dict.fromkeys(a for part in parts for a in part.assumptions)),
            )
        )

    def compared(self, hidden: int) -> Unrolling:
        """Derive the network with that many hidden layers by itself, and compare."""
        network = _network(self.spec, hidden)
        own = rewrite_program(gradient_program(loss_program(network)), labels=self.labels)
        return Unrolling(
            hidden=hidden,
            network=network,
            statements=len(own.statements),
            different=_different(self.unrolled(hidden), own),
        )

    def check_induction(self) -> None:
        """Check on the statements what the argument by induction says of them.

        Raises
        ------
        InternalError
            Naming the first thing that is not so.
        """
        z, h, after = in_layer("Z", LAYER), in_layer("H", LAYER), in_layer("Z", LAYER, 1)
        parameters = ((parameter, z) for parameter in self.layer.parameters)
        for name, reader in ((z, h), (h, after), *parameters):
            if [s.name for s in self.layer.forward if name in s.reads()] != [reader]:
                raise InternalError(f"{name} is not read by {reader} alone")
        if self.layer.statement(after) != self.output_as_next_layer:
            raise InternalError(f"{in_layer('Z', DEPTH, 1)} is not defined as {after} is")

    def report(self, format_: str = "text", *, form: Form = "matrix", steps: bool = False) -> str:
        """Return the whole page in one of `derive.writers.FORMATS`.

        Parameters
        ----------
        format_, form, steps
            As in `derive.network_derivation.Derivation.report`.

        Raises
        ------
        InputError
            If the format is not known.
        """
        from derive.json_form import json_recurrence
        from derive.recurrence_document import recurrence_document
        from derive.writers import write

        if format_ == "json":
            return json_recurrence(self, form=form)
        told = recurrence_document(self, form=form, steps=steps, certificate=self.certificate)
        return write(told, format_)

    def __str__(self) -> str:
        """Write the recurrence as a page of text."""
        return self.report()

    def _repr_latex_(self) -> str:
        from derive.printing import program_latex

        return "$$" + r" \\ ".join(map(program_latex, (self.output, self.layer))) + "$$"

    def _repr_html_(self) -> str:
        from derive.html_report import write_html_fragment
        from derive.recurrence_document import recurrence_document

        return write_html_fragment(recurrence_document(self, certificate=self.certificate))


def layer_recurrence(
    spec: NetworkSpec | str = "N",
    *,
    loss: str = DEFAULT_LOSS,
    define: Sequence[str] = (),
    labels: str = "one-hot",
    depths: tuple[int, ...] = DEPTHS,
    prove: bool = False,
) -> Recurrence:
    """Derive the gradients of networks with N hidden layers, for every N.

    Parameters
    ----------
    spec
        ``"N"``, ``"N:relu"``, or a network with one hidden layer that has the activations
        and the loss.
    loss, define
        As in `derive.parse_spec`, if `spec` is text.
    labels
        As in `derive.rewrite_program`.
    depths
        Numbers of hidden layers at which it is compared with a derivation of its own.
    prove
        Whether base case and induction step are proved; `certificate` says what was shown.

    Returns
    -------
    Recurrence

    Raises
    ------
    InputError
        If `spec` cannot be read or has other than one hidden layer, or its loss has a term
        for every layer's weights.
    """
    if isinstance(spec, str):
        spec = parse_spec(one_hidden_layer(spec), loss=loss, define=define)
    if spec.depth != 2:
        raise InputError(
            f"network: {spec} has {spec.depth - 1} hidden layers. What is repeated is one hidden "
            "layer: give N, or N:relu."
        )
    if spec.l2:
        raise InputError(
            "l2: the penalty is a sum over the weights of all layers, which one layer does not "
            "tell. Leave it out, or give the sizes, for example 2-10-2."
        )
    derived = Recurrence(
        spec=spec, labels=labels, output=_output(spec, labels), layer=_layer(spec, labels)
    )
    derived = replace(derived, unrollings=tuple(derived.compared(depth) for depth in depths))
    if prove:
        from derive.proof import prove_recurrence

        derived = replace(derived, certificate=prove_recurrence(derived))
    return derived


def _output(spec: NetworkSpec, labels: str) -> Program:
    """Derive the output layer: from H_N, as a network without hidden layers, to the loss."""
    program = loss_program(_network(spec, 0))
    lettered_program = renamed(program, lettered(names_in(program), DEPTH, first=0))
    return rewrite_program(gradient_program(check_program(lettered_program)), labels=labels)


def _layer(spec: NetworkSpec, labels: str) -> Program:
    """Derive a hidden layer: as the first of two, up to what reads it."""
    network = loss_program(_network(spec, 2))
    statements = tuple(network.statement(name) for name in ("Z1", "H1", "Z2"))
    read = {name for statement in statements for name in statement.reads()}
    program = Program(
        inputs=tuple(tensor for tensor in network.inputs if tensor.name in read),
        parameters=("W1", "b1"),
        statements=statements,
        outputs=("Z2",),
    )
    forward = check_program(renamed(program, lettered(names_in(program), LAYER, first=1)))
    backward = vjp_program(forward, of=in_layer("Z", LAYER, 1), inputs=())
    return rewrite_program(backward, labels=labels)


def _network(spec: NetworkSpec, hidden: int) -> NetworkSpec:
    inner, outer = spec.activations
    return replace(
        spec,
        sizes=tuple(f"n{layer}" for layer in range(hidden + 2)),
        activations=(*(inner,) * hidden, outer),
    )


def _at(program: Program, values: dict[str, int]) -> Program:
    return renamed(program, numbered(names_in(program), values))


def _different(program: Program, other: Program) -> tuple[str, ...]:
    """Return the names of what differs between two programmes."""
    if program == other:
        return ()
    one, two = ({s.name: s for s in p.statements} for p in (program, other))
    names = tuple(name for name in {**two, **one} if one.get(name) != two.get(name))
    fields = ("inputs", "parameters", "statements", "outputs", "cotangents", "assumptions")
    return names or tuple(f for f in fields if getattr(program, f) != getattr(other, f))
