"""What is told of the gradients of networks of any depth, for the writers of every format."""

from typing import TYPE_CHECKING

from sympy import Integer

from derive.document import (
    Document,
    Lines,
    Math,
    Paragraphs,
    Proof,
    Section,
    Sentence,
    Sentences,
    Table,
    Tensors,
    assumed,
    equation,
    gradient_of,
    gradients,
    loss_words,
    name,
    with_legend,
)
from derive.layer_names import DEPTH, LAYER, in_layer
from derive.printing import Form
from derive.program import BATCH, Tensor, size
from derive.recurrence import Recurrence, Unrolling
from derive.spec import NetworkSpec

if TYPE_CHECKING:
    from derive.proof import Certificate

_EQUAL = "equal, statement for statement"

_N, _L = name(DEPTH), name(LAYER)
_ONE = Math(lambda n: n.number(Integer(1)).text)
_AFTER = Math(lambda n: _L.write(n) + n.plus_sign + _ONE.write(n))
_LAST = Math(lambda n: _N.write(n) + n.plus_sign + _ONE.write(n))
_H0 = in_layer("H", "0")


def recurrence_document(
    recurrence: Recurrence,
    *,
    form: Form = "matrix",
    steps: bool = False,
    certificate: "Certificate | None" = None,
) -> Document:
    """Return what is told of networks of any depth.

    Parameters
    ----------
    recurrence
        The result of `derive.layer_recurrence`.
    form, steps
        As in `derive.document.Document`.
    certificate
        What was proved of it, if anything.

    Returns
    -------
    Document
        What is given, a layer and the output forward, the output layer and a layer backward,
        the induction that makes gradients of them, what is assumed, how the recurrence compares
        with the derivations of single networks, notation, proof.
    """
    output, layer = recurrence.output, recurrence.layer
    sections = [
        Section(heading=("Given, for ", *_layers(_LAST)), content=_given(recurrence)),
        Section(
            heading=("Forward: layer ", *_layers(_N), ", from ", equation(name(_H0), name("X"))),
            content=Lines(statements=recurrence.forward),
        ),
        Section(
            heading=("Forward: layer ", _LAST, ", the output, and the loss"),
            content=Lines(statements=output.forward),
        ),
        Section(
            heading=("Backward, base case: layer ", _LAST),
            content=Lines(statements=output.backward),
        ),
        Section(
            heading=(
                *("Backward, induction step: from layer ", _AFTER, " to layer ", _L, ", for "),
                *(equation(_L, _N), ", …, ", _ONE),
            ),
            content=Lines(statements=layer.backward),
        ),
        Section(
            heading=("Gradients, for every ", _N, " and ", *_layers(_LAST)),
            content=gradients(layer),
        ),
        Section(
            heading=("Why this is the gradient",),
            content=Paragraphs(paragraphs=_induction(recurrence)),
        ),
        *assumed(output),
        Section(
            heading=("Unrolled, against the derivation of each network by itself",),
            content=_table(recurrence.unrollings),
        ),
    ]
    if certificate:
        sections.append(Section(heading=("Proof",), content=Proof(certificate=certificate)))
    here, after = (in_layer("Z", LAYER, distance) for distance in (0, 1))
    return with_legend(
        Document(
            title=_title(recurrence.spec),
            programs=(output, layer),
            form=form,
            steps=steps,
            sections=tuple(sections),
            told_as={after: here},
        )
    )


def _title(spec: NetworkSpec) -> Sentence:
    hidden, output = spec.activations
    return (
        *("Networks with ", _N, " hidden layers, any ", _N, f": {hidden} in hidden layers, "),
        *(f"{output} output, ", *loss_words(spec), ", mean over a batch of ", name("B")),
        " samples",
    )


def _layers(last: Math) -> Sentence:
    """Return ``ℓ = 1, …, N``."""
    return (equation(_L, _ONE), ", …, ", last)


def _given(recurrence: Recurrence) -> Tensors:
    """Return X, Y, and the parameters of every layer."""
    tensors = {t.name: t for part in (recurrence.output, recurrence.layer) for t in part.inputs}
    inputs = Tensor(name="X", shape=(BATCH, size(in_layer("n", "0"))))
    parameters = (tensors[parameter] for parameter in recurrence.layer.parameters)
    return Tensors(tensors=(inputs, tensors["Y"], *parameters))


def _induction(recurrence: Recurrence) -> tuple[Sentence, ...]:
    """Return the argument; what it says of the statements is checked on them first."""
    recurrence.check_induction()
    z, h, after = in_layer("Z", LAYER), in_layer("H", LAYER), in_layer("Z", LAYER, 1)
    last, d_z, d_after = name(in_layer("Z", DEPTH, 1)), name(f"d{z}"), name(f"d{after}")
    first, *others = map(name, recurrence.layer.parameters)
    weights: Sentence = (first, *(part for other in others for part in (" and ", other)))
    Z, H, Z_after = name(z), name(h), name(after)
    return (
        (
            *("Claim: ", equation(d_z, gradient_of(z)), " for every layer ", *_layers(_LAST)),
            *(", and likewise for ", *weights, "."),
        ),
        ("Base case. In layer ", _LAST, " the statements above were derived from the loss itself."),
        (
            *("Step. Let ", equation(d_after, gradient_of(after)), ". The definitions read "),
            *(*weights, " in ", Z, " alone, ", Z, " in ", H, " alone, and ", H, " in ", Z_after),
            *(" alone, so the loss depends on all of them through ", Z_after, " only. Hence the "),
            *("chain rule needs ", d_after, " and the definitions of ", Z, ", ", H, " and "),
            *(Z_after, ", and nothing else. It was applied to these with ", _L, " and the sizes "),
            *("as symbols, so it holds for each ", _L, " from ", _N, " down to ", _ONE, "; for "),
            *(equation(_L, _N), " too, as ", last, " is defined like any ", Z_after, "."),
        ),
        (
            *("So the claim holds for every ", _N, ". Where "),
            *(equation(_N, Math(lambda n: n.number(Integer(0)).text)), ", the base case is all, "),
            *("with ", equation(name(_H0), name("X")), "."),
        ),
    )


def _table(unrollings: tuple[Unrolling, ...]) -> Table | Sentences:
    def row(unrolling: Unrolling) -> tuple[Sentence, ...]:
        hidden, statements = unrolling.hidden, unrolling.statements
        status = _EQUAL if unrolling.holds else f"DIFFERENT in {', '.join(unrolling.different)}"
        return (f"{hidden}",), (_shown(unrolling.network),), (f"{statements}",), (status,)

    if not unrollings:
        return Sentences(sentences=(("not compared",),))
    head: tuple[Sentence, ...] = ((_N,), ("network",), ("statements",), ("outcome",))
    return Table(head=head, rows=tuple(map(row, unrollings)))


def _shown(network: NetworkSpec) -> str:
    """Return a network's specification, a deep one by its first and last layers."""
    first, second, *others = str(network).split("-")
    middle = others if len(others) < 3 else ["…", others[-1]]
    return "-".join((first, second, *middle))
