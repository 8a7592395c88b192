"""What a derivation says, in sections, whatever notation and markup it is then written in.

The writers, one for each format, are `derive.report` (text), `derive.latex_report`,
`derive.markdown_report` and `derive.html_report`; each walks over a `Document` and adds
nothing of its own. `document` tells of one network, `derive.recurrence_document` of any depth.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

from sympy import Integer

from derive.board import Told, told_steps
from derive.notation import Notation, Piece
from derive.printing import TEXT, Form, sides, written_out
from derive.program import Program, Statement, Step, Tensor
from derive.spec import LOSSES, NetworkSpec

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

# a word, also one with a layer below it: W_ℓ, W_{ℓ+1}
_WORD = re.compile(r"[A-Za-z]\w*(?:(?<=_)(?:ℓ|\{[^}]*\}))?|.", re.DOTALL | re.ASCII)


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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraphs:
    """Prose, each paragraph on lines of its own."""

    paragraphs: tuple[Sentence, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of short cells under a heading for each column."""

    head: tuple[Sentence, ...]
    rows: tuple[tuple[Sentence, ...], ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """Two sides, and what is said before them."""

    left: Math
    right: Math
    said: Sentence = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """Equations under each other, each behind what is said of it."""

    equations: tuple[Equation, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOut:
    """The gradients of a programme's parameters, each as one formula."""

    program: Program


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was proved of a derivation; it writes itself."""

    certificate: "Certificate"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    heading: Sentence
    content: Tensors | Lines | Equations | Sentences | Paragraphs | Table | WrittenOut | Proof


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A derivation as it is told.

    Attributes
    ----------
    title
        What was derived.
    programs
        The programmes that are told; no two of them write the same name.
    form
        ``"matrix"`` or ``"index"``; what has no matrix form is in index form in either.
    steps
        Whether the steps that led to each statement are told.
    sections
        In reading order.
    told_as
        The name of the line by which a value is told that has no line of its own.
    """

    title: Sentence
    programs: tuple[Program, ...]
    form: Form
    steps: bool
    sections: tuple[Section, ...]
    told_as: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """What words of a sentence are names: of tensors, of their gradients, of sizes."""
        tensors = {t.name: t for program in self.programs for t in program.tensors().values()}
        extents = {extent for tensor in tensors.values() for extent in tensor.shape}
        return frozenset(
            (
                *tensors,
                *(f"d{name}" for name in tensors),
                *(name.removeprefix("d") for name in tensors),
                *(extent.name for extent in extents if extent.is_Symbol),
            )
        )

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements that have a line, in reading order."""
        contents = (section.content for section in self.sections)
        return tuple(s for lines in contents if isinstance(lines, Lines) for s in lines.statements)

    def told(self, notation: Notation) -> dict[str, tuple[Told, ...]]:
        """Return the steps that led to each statement, none where they are not told."""
        if not self.steps:
            return {}
        return told_steps(*self.programs, notation=notation, matrix=self.form == "matrix")


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text, names with a layer whole, and what stands between them.

    Examples
    --------
    >>> list(words_of("Z_{ℓ+1} reads b"))
    ['Z_{ℓ+1}', ' ', 'reads', ' ', 'b']
    """
    yield from (match[0] for match in _WORD.finditer(text))


def spoken_groups(equations: Sequence[Equation]) -> Iterator[tuple[Equation, ...]]:
    """Yield equations in groups, each beginning with one of which something is said."""
    group: list[Equation] = []
    for equation in equations:
        if equation.said and group:
            yield tuple(group)
            group = []
        group.append(equation)
    if group:
        yield tuple(group)


def document(
    program: Program,
    spec: NetworkSpec,
    *,
    form: Form = "matrix",
    steps: bool = False,
    expand: bool = False,
    certificate: "Certificate | None" = None,
    sound: Program | None = None,
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
    sound
        The same programme after `derive.stable_program`, if its forms are told, too.

    Returns
    -------
    Document
        What is given, forward, backward, gradients, written out, assumed, notation, proof;
        after `derive.hvp_program` also the second order and the Hessian times v.
    """
    title = (
        f"Network {spec}, ",
        *loss_words(spec),
        ", mean over a batch of ",
        name("B"),
        " samples",
    )
    sections = [
        Section(heading=("Given",), content=Tensors(tensors=program.inputs)),
        Section(heading=("Forward",), content=Lines(statements=program.forward)),
        Section(heading=("Backward",), content=Lines(statements=program.backward)),
    ]
    if program.second_order:
        second = Lines(statements=program.second_order)
        sections.append(Section(heading=("Second order, along ", name("v")), content=second))
    sections.append(Section(heading=("Gradients",), content=gradients(program)))
    if program.second_order:
        content = _hessian_products(program)
        sections.append(Section(heading=("Hessian times ", name("v")), content=content))
    if expand:
        heading = ("Gradients written out",)
        sections.append(Section(heading=heading, content=WrittenOut(program=program)))
    sections += assumed(program)
    if sound:
        sections += _sound_forms(program, sound, form)
    if certificate:
        sections.append(Section(heading=("Proof",), content=Proof(certificate=certificate)))
    told = Document(
        title=title, programs=(program,), form=form, steps=steps, sections=tuple(sections)
    )
    return with_legend(told)


def with_legend(doc: Document) -> Document:
    """Return a document with what its symbols mean, before a proof or at the end."""
    notation = Section(heading=("Notation",), content=Sentences(sentences=tuple(_legend(doc))))
    is_proved = bool(doc.sections) and isinstance(doc.sections[-1].content, Proof)
    end = len(doc.sections) - is_proved
    return replace(doc, sections=(*doc.sections[:end], notation, *doc.sections[end:]))


def loss_words(spec: NetworkSpec) -> Sentence:
    """Return what to call the loss; one of the reader's own is a formula."""
    own = spec.loss not in LOSSES
    return (f"loss {spec.loss}",) if own else (f"{spec.loss} loss",)


def name(text: str) -> Math:
    """Return the name of a tensor as a formula."""
    return Math(lambda notation: notation.name(text))


def mark(letter: str) -> Math:
    """Return ``vT`` as a formula, the letter upright as in the name of a tensor."""
    return Math(lambda n: n.name(f"{letter}P").replace("P", "T"))


def gradient_of(parameter: str) -> Math:
    """Return ``∂loss/∂W1`` as a formula."""
    return Math(lambda n: n.partial_in_line(n.name("loss"), n.name(parameter)))


def equation(left: Math, right: Math) -> Math:
    """Return two formulas with the sign of equality between them."""
    return Math(lambda n: left.write(n) + n.equals_sign + right.write(n))


def gradients(program: Program) -> Sentences:
    """Return the names of the parameters' gradients."""
    pairs = program.gradients.items()
    told = ((equation(gradient_of(parameter), name(grad)),) for parameter, grad in pairs)
    return Sentences(sentences=tuple(told), stop="   ")


def _hessian_products(program: Program) -> Sentences:
    def product_of(parameter: str) -> Math:
        return Math(lambda n: n.hessian_product(parameter).text)

    pairs = program.hessian_products.items()
    told = ((equation(product_of(parameter), name(product)),) for parameter, product in pairs)
    return Sentences(sentences=tuple(told), stop="   ")


def assumed(program: Program) -> list[Section]:
    """Return a section of what a programme assumes, or none where it assumes nothing."""
    lines = []
    for assumption in program.assumptions:
        users = [s.name for s in program.statements if f"identity: {assumption}" in s.origin]
        used = f" (used in {', '.join(users)})" if users else ""
        lines.append((Recorded(f"{assumption}{used}"),))
    if not lines:
        return []
    return [Section(heading=("Assumed",), content=Paragraphs(paragraphs=tuple(lines)))]


def _sound_forms(program: Program, sound: Program, form: Form) -> list[Section]:
    """Return a section of what code computes in another form, and why that is the same."""
    steps = sound.steps[len(program.steps) :]
    if not steps:
        return []

    def told(step: Step) -> Math:
        statement = sound.statement(step.target)
        return Math(lambda n: n.equals_sign.join(sides(statement, n, form)))

    rows = tuple(((told(step),), (step.reason,)) for step in steps)
    heading = ("In code, the same values by proved identities, with no overflow or cancellation",)
    head = (("computed",), ("because",))
    return [Section(heading=heading, content=Table(head=head, rows=rows))]


def _formulas(doc: Document) -> list[str]:
    """Return every formula that is told, as text: the symbols in it are explained."""
    found = [" = ".join(sides(statement, TEXT, doc.form)) for statement in doc.statements]
    steps = (step for told in doc.told(TEXT).values() for step in told)
    found += [f"= {form}" for step in steps for form in step.forms]
    for section in doc.sections:
        if isinstance(section.content, WrittenOut):
            lines = written_out(section.content.program, TEXT, form=doc.form)
            found += [f"= {right}" for _, _, right in lines]
    return found


def _legend(doc: Document) -> list[Sentence]:
    """Return what a reader must know about the symbols that occur in the formulas."""
    symbols, form = "\n".join(_formulas(doc)), doc.form

    def occurs(*any_of: str) -> bool:
        return any(symbol in symbols for symbol in any_of)

    words: list[Sentence] = [(name("dT"), " is ", gradient_of("T"))]
    if any(program.second_order for program in doc.programs):
        # the names of no tensor: set as they are
        words.append((mark("v"), " is how ", name("T"), " changes along ", name("v")))
        words.append((mark("h"), " is how ", name("dT"), " changes along ", name("v")))
    if form == "matrix" and occurs("∘", "⊘"):
        by = Math(lambda n: n.hadamard_sign.strip()), Math(lambda n: n.quotient_sign.strip())
        words.append((by[0], " and ", by[1], " multiply and divide entry by entry"))
    if form == "matrix" and occurs("^∘"):
        power = Math(lambda n: n.hadamard_power(Piece(n.name("A")), Integer(3)).text)
        words.append((power, " is a power of each entry"))
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
        slope = Math(lambda n: n.partial_in_line(n.name("T"), n.name("U")))
        what = " is the derivative of what "
        words.append((slope, what, T, " is defined as, taken in ", U, " alone"))
    if occurs("δ["):
        delta = Math(lambda n: n.delta(n.index("i"), n.index("j")).text)
        same = Math(lambda n: n.index("i") + n.equals_sign + n.index("j"))
        words.append((delta, " is 1 where ", same, ", else 0"))
    return words
