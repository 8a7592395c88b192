"""What each rule of a derivation does, in words: a page links every use of a rule to it."""

from derive.board import MATRIX_FORM
from derive.document import Math, Sentence, name
from derive.notation import Notation
from derive.program import SUBSTITUTE


def _chain(n: Notation) -> str:
    o, p = n.index("o"), n.index("p")
    slope = n.partial(n.entry("T", [o]).text, n.entry("U", [p]).text)
    total = n.product([n.entry("dT", [o]), slope])
    return n.entry("dU", [p]).text + n.equals_sign + n.total(o, total).text


_DELTA = Math(lambda n: n.delta(n.index("i"), n.index("j")).text)

RULES: dict[str, Sentence] = {
    "definition": ("what the network or the loss is, written down and not derived",),
    "chain rule": (
        Math(_chain),
        ", added up over every statement ",
        name("T"),
        " that reads ",
        name("U"),
    ),
    "derivative": (
        "the definition is differentiated by SymPy, as a function of one real variable; "
        "the derivative of an entry in another is ",
        _DELTA,
        ": 1 where they are the same, else 0",
    ),
    "delta": ("a sum over ", _DELTA, " has one term that is not 0, and is that term"),
    "reuse": (
        "the definition of a forward value, read as an equation, is solved for the function "
        "that the derivative holds; the value takes its place",
    ),
    SUBSTITUTE: ("a cotangent that one statement alone reads gives way to its formula",),
    "distribute": ("a product with a sum is multiplied out",),
    "identity": ("an equation that is proved, or assumed and said to be",),
    "cancel": ("what stands above and below a fraction's stroke is left out of both",),
    "factor": ("what all terms of a sum have in common stands in front of it",),
    "chain rule along v": (
        "how a value changes is the derivative of its definition in each thing it reads, times "
        "how that changes, added up",
    ),
    "kink": ("a slope that jumps changes nowhere else, so there its derivative is 0",),
    "stable form": ("an equal formula that neither overflows nor cancels; it is proved",),
    MATRIX_FORM: (
        "a sum over a repeated index is a product of matrices, and a function of an entry is "
        "that function of the matrix, entry by entry",
    ),
}

# how a statement's origin names a rule -> the rule
OF_ORIGIN = {"rule": "chain rule"}
