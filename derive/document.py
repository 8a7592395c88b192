"""What a derivation says, in sections, whatever notation and markup it is then written in.

The writers, one for each format, are `derive.report` (text), `derive.latex_report`,
`derive.markdown_report` and `derive.html_report`; each walks over a `Document` and adds
nothing of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from derive.board import told_steps
from derive.notation import Notation
from derive.printing import TEXT, Form, sides, written_out
from derive.program import Program, Statement, Tensor
from derive.spec import NetworkSpec

if TYPE_CHECKING:
    from derive.proof import Certificate


@final
@dataclass(frozen=True, slots=True)
class Math:
    """A short formula inside of a sentence: what a notation makes of it."""

    write: Callable[[Notation], str]


@final
@dataclass(frozen=True, slots=True)
class Recorded:
    """What a programme says of itself: the names of its tensors are set as formulas."""

    words: str


Sentence = tuple[str | Math | Recorded, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """Names with their shapes."""

    tensors: tuple[Tensor, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Statements, each with its shape, and the steps that led to it if those are told."""

    statements: tuple[Statement, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """Short sentences, side by side where there is room; `stop` stands between them."""

    sentences: tuple[Sentence, ...]
    stop: str = "; "
    each_on_a_line: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOut:
    """The parameters' gradients, each as one formula."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proved of a derivation; it writes itself."""

    certificate: "Certificate"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    content: Tensors | Lines | Sentences | WrittenOut | Proof


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A derivation as it is told.

    Attributes
    ----------
    title
        What was derived.
    program
        The programme that is told.
    form
        ``"matrix"`` or ``"index"``; what has no matrix form is in index form in either.
    steps
        Whether the steps that led to each statement are told.
    sections
        In reading order.
    """

    title: str
    program: Program
    form: Form
    steps: bool
    sections: tuple[Section, ...]

    @property
    def names(self) -> frozenset[str]:
        """What words of a sentence are names of tensors, or of their gradients."""
        tensors = self.program.tensors()
        return frozenset(
            (*tensors, *(f"d{name}" for name in tensors), *(n.removeprefix("d") for n in tensors))
        )


def document(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    expand: bool = False,
    certificate: "Certificate | None" = None,
) -> Document:
    """Return what is told of a network's derivation.

    Parameters
    ----------
    program
        The result of `derive.rewrite_program`.
    spec
        The network that it was derived for.
    form, steps
        As in `Document`.
    expand
        Whether each gradient is also written out as one formula.
    certificate
        What was proved of it, if anything.

    Returns
    -------
    Document
        What is given, forward, backward, gradients, written out, assumed, notation, proof;
        after `derive.hvp_program` also the second order and the Hessian times v.
    """
    title = f"Network {spec}, {spec.loss} loss, mean over a batch of B samples"
    sections = [
        Section(heading="Given", content=Tensors(tensors=program.inputs)),
        Section(heading="Forward", content=Lines(statements=program.forward)),
        Section(heading="Backward", content=Lines(statements=program.backward)),
    ]
    if program.second_order:
        second = Lines(statements=program.second_order)
        sections.append(Section(heading="Second order, along v", content=second))
    sections.append(Section(heading="Gradients", content=_gradients(program)))
    if program.second_order:
        sections.append(Section(heading="Hessian times v", content=_hessian_products(program)))
    if expand:
        sections.append(Section(heading="Gradients written out", content=WrittenOut()))
    if program.assumptions:
        sections.append(Section(heading="Assumed", content=_assumed(program)))
    symbols = "\n".join(_formulas(program, form, steps=steps, expand=expand))
    words = legend(symbols, form, second_order=bool(program.second_order))
    notation = Sentences(sentences=tuple(words))
    sections.append(Section(heading="Notation", content=notation))
    if certificate:
        sections.append(Section(heading="Proof", content=Proof(certificate=certificate)))
    return Document(title=title, program=program, form=form, steps=steps, sections=tuple(sections))


def name(text: str) -> Math:
    """Return the name of a tensor as a formula."""
    return Math(lambda notation: notation.name(text))


def mark(letter: str) -> Math:
    """Return ``vT`` as a formula, the letter upright as in the name of a tensor."""
    return Math(lambda n: n.name(f"{letter}P").replace("P", "T"))


def gradient_of(parameter: str) -> Math:
    """Return ``∂loss/∂W1`` as a formula."""
    return Math(lambda n: n.partial(n.name("loss"), n.name(parameter)).text)


def _gradients(program: Program) -> Sentences:
    def equation(parameter: str, gradient: str) -> Math:
        return Math(lambda n: gradient_of(parameter).write(n) + n.equals_sign + n.name(gradient))

    pairs = program.gradients.items()
    return Sentences(sentences=tuple((equation(*pair),) for pair in pairs), stop="   ")


def _hessian_products(program: Program) -> Sentences:
    def equation(parameter: str, product: str) -> Math:
        return Math(lambda n: n.hessian_product(parameter).text + n.equals_sign + n.name(product))

    pairs = program.hessian_products.items()
    return Sentences(sentences=tuple((equation(*pair),) for pair in pairs), stop="   ")


def _assumed(program: Program) -> Sentences:
    lines = []
    for assumption in program.assumptions:
        users = [s.name for s in program.statements if f"identity: {assumption}" in s.origin]
        used = f" (used in {', '.join(users)})" if users else ""
        lines.append((Recorded(f"{assumption}{used}"),))
    return Sentences(sentences=tuple(lines), each_on_a_line=True)


def _formulas(program: Program, form: Form, *, steps: bool, expand: bool) -> list[str]:
    """Return every formula that is told, as text: the symbols in it are explained."""
    found = [" = ".join(sides(statement, TEXT, form)) for statement in program.statements]
    if steps:
        told = told_steps(program, TEXT, matrix=form == "matrix")
        found += [f"= {form}" for steps_ in told.values() for one in steps_ for form in one.forms]
    if expand:
        found += [f"= {right}" for _, _, right in written_out(program, TEXT, form=form)]
    return found


def legend(symbols: str, form: Form, *, second_order: bool = False) -> list[Sentence]:
    """Return what a reader must know about the symbols that occur in formulas as text."""

    def occurs(*any_of: str) -> bool:
        return any(symbol in symbols for symbol in any_of)

    words: list[Sentence] = [(name("dT"), " is ", gradient_of("T"))]
    if second_order:
        # the names of no tensor: set as they are
        words.append((mark("v"), " is how ", name("T"), " changes along ", name("v")))
        words.append((mark("h"), " is how ", name("dT"), " changes along ", name("v")))
    if form == "matrix" and occurs("∘", "⊘"):
        by = Math(lambda n: n.hadamard_sign.strip()), Math(lambda n: n.quotient_sign.strip())
        words.append((by[0], " and ", by[1], " multiply and divide entry by entry"))
    if form == "matrix" and occurs(" 1", "1ᵀ"):
        words.append((Math(lambda n: n.ones().text), " beside a matrix is a column of ones"))
    if form == "matrix" and occurs("1 −", "− 1", "1 +"):
        words.append(("a number added to a matrix is added to each entry",))
    if occurs("Σ_"):
        words.append(("a sum runs over the whole axis",))
    if occurs("where("):
        a, b, c = map(name, "abc")
        choice = Math(lambda n: n.call("where", [n.name("c"), n.name("a"), n.name("b")]).text)
        words.append((choice, " is ", a, " where ", c, " holds, else ", b))
    if occurs("/∂"):
        T, U = name("T"), name("U")
        slope = Math(lambda n: n.partial(n.name("T"), n.name("U")).text)
        what = " is the derivative of what "
        words.append((slope, what, T, " is defined as, taken in ", U, " alone"))
    if occurs("δ["):
        delta = Math(lambda n: n.delta(n.index("i"), n.index("j")).text)
        same = Math(lambda n: n.index("i") + n.equals_sign + n.index("j"))
        words.append((delta, " is 1 where ", same, ", else 0"))
    return words
