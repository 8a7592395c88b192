"""Numerically sound forms: the same value, computed without overflow or cancellation.

Each rewriting is an identity that is proved below (`IDENTITIES`) before it is used:

- *shift*: ``sum_k exp(f[k]) = exp(c) * sum_k exp(f[k] - c)`` for every ``c``; with ``c`` the
  largest ``f[k]`` no term exceeds 1 (P. Blanchard, D. J. Higham and N. J. Higham,
  "Accurately computing the log-sum-exp and softmax functions", IMA Journal of Numerical
  Analysis 41(4), 2021, equation 3.1);
- *log of a product*: ``log(exp(a) * b**n) = a + n*log(b)`` for ``b > 0``;
- *log1p*: ``log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|))``;
- *expm1*: ``exp(z) - 1 = expm1(z)``, by definition;
- *logistic*: ``exp(z)**a / (1 + exp(z))**b = 1 / ((1 + exp(-z))**a (1 + exp(z))**(b - a))``
  for ``0 < a <= b``: where one of the factors overflows, the quotient is 0 as it should be;
- *tanh near 1*: ``1 - tanh(z)**2 = 1 / cosh(z)**2``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import sympy
from sympy import Abs, Expr, Function, Indexed, Max, Symbol
from sympy.codegen.cfunctions import expm1, log1p

from derive.check import check_program
from derive.errors import InternalError
from derive.indices import canonical, rename
from derive.program import (
    MaxOver,
    Program,
    Statement,
    Step,
    Sum,
    Tensor,
    indices_of,
    occurrences,
    tensor_of,
)
from derive.reuse import merge_exponentials

# the identities of this module as one tells them; each is proved in `prove_identities`
TOLD_AS = {
    "shift": "Σ exp(f) = exp(c) Σ exp(f − c)",
    "log of a product": "log(exp(a) b) = a + log(b)",
    "log1p": "log(1 + exp(z)) = max(z, 0) + log1p(exp(−|z|))",
    "logistic": "exp(z)/(1 + exp(z)) = 1/(1 + exp(−z))",
    "expm1": "exp(z) − 1 = expm1(z)",
    "tanh near 1": "1 − tanh²(z) = 1/cosh²(z)",
}
STABLE, DEFINITION = "stable form", "definition"  # the rules, as steps name them


def stable_program(program: Program) -> Program:
    """Return `program` with its exponentials and logarithms in sound forms.

    Further statements appear: ``{T}_max`` holds the largest exponent of each row, and
    ``{T}_sum`` the shifted sum. It is done after differentiation, so that the largest
    entry, a shift that changes nothing, is never differentiated.

    Raises
    ------
    InternalError
        If a proof of an identity fails, which would be a mistake of ours.
    """
    prove_identities()
    done: dict[str, Statement] = {}
    steps = list(program.steps)
    for statement in program.statements:
        *added, new = stable_form(statement, done)
        steps += (_defined(shift) for shift in added)
        if new.body != statement.body:
            steps.append(_rewritten(statement, new))
        done |= {one.name: one for one in (*added, new)}
    return check_program(replace(program, statements=tuple(done.values()), steps=tuple(steps)))


def stable_form(statement: Statement, known: Mapping[str, Statement]) -> tuple[Statement, ...]:
    """Return a statement in its sound form, behind the row maxima and sums that it reads.

    Parameters
    ----------
    statement
        What is to be computed; returned as it is where nothing is gained.
    known
        The statements before it by name, in their sound forms.
    """
    added: list[Statement] = []
    used: list[str] = []
    body = statement.body
    if body.has(sympy.log):
        body = _put_in_logs(body, known)
    body = merge_exponentials(_shift_sums(body, statement, added))
    used += ["shift"] if added else []
    for change, names in (
        (_split_logs, ("log of a product", "log1p")),
        (_logistic_powers, ("logistic",)),
        (_small_differences, ("expm1", "tanh near 1")),
    ):
        before, body = body, change(body)
        if body != before:
            used += [name for name in names if _LEAVES[name](before, body)]
    body = canonical(body, statement.indices)
    if body == statement.body:
        return (statement,)
    origin = (*statement.origin, *(f"identity: {name}" for name in used))
    return (*added, replace(statement, body=body, origin=origin))


def _more(function: type[Function]) -> Callable[[Expr, Expr], bool]:
    return lambda before, after: len(after.atoms(function)) > len(before.atoms(function))


# by what an identity is known to have been used: a body before and after
_LEAVES: Mapping[str, Callable[[Expr, Expr], bool]] = {
    "log of a product": lambda before, _: any(
        call.args[0].is_Mul or call.args[0].is_Pow for call in before.atoms(sympy.log)
    ),
    "log1p": _more(log1p),
    "logistic": lambda *_: True,
    "expm1": _more(expm1),
    "tanh near 1": _more(sympy.cosh),
}


def _rewritten(statement: Statement, new: Statement) -> Step:
    return Step(
        rule=STABLE,
        target=statement.name,
        indices=statement.indices,
        before=statement.body,
        after=new.body,
        reason="; ".join(_identities(statement, new)),
    )


def _identities(statement: Statement, new: Statement) -> list[str]:
    """Return the identities by which a statement came into its sound form, as formulas."""
    names = [o.removeprefix("identity: ") for o in new.origin[len(statement.origin) :]]
    return [TOLD_AS[name] for name in names] or ["what a logarithm reads is put into it"]


def _defined(shift: Statement) -> Step:
    what = shift.origin[0].removeprefix("identity: ")
    moves = "; a shift by it changes no value" if shift.body.has(MaxOver) else ""
    return Step(
        rule=DEFINITION,
        target=shift.name,
        indices=shift.indices,
        before=shift.target[shift.indices or ()],
        after=shift.body,
        reason=f"the {what}{moves}",
    )


def _put_in_logs(body: Expr, known: Mapping[str, Statement]) -> Expr:
    """Replace ``log(T[...])`` by the log of what T is, where T is positive by its form."""

    def put(call: Expr) -> Expr:
        (argument,) = call.args
        if not isinstance(argument, Indexed):
            return _whole_log(call, known)
        source = known.get(tensor_of(argument))
        if source is None or not _is_positive(source.body):
            return call
        place = dict(zip(source.indices, indices_of(argument), strict=True))
        return sympy.log(rename(source.body, place), evaluate=False)

    return _replace_calls(body, sympy.log, put)


def _whole_log(call: Expr, known: Mapping[str, Statement]) -> Expr:
    """Return a log with what is read in it put in, if its argument is positive by its form.

    ``log(1 - P)`` of ``P = 1/(1 + exp(-Z))`` is ``log(exp(-Z)/(1 + exp(-Z)))``.
    """
    values: dict[Expr, Expr] = {}
    for read in occurrences(call):
        source = known.get(tensor_of(read))
        if source is not None and source.body.has(sympy.exp) and not source.body.has(Sum):
            place = dict(zip(source.indices, indices_of(read), strict=True))
            values[read] = rename(source.body, place)
    if not values:
        return call
    above, below = sympy.fraction(sympy.together(call.args[0].xreplace(values)))
    above = sympy.expand(above)
    if not (_is_positive(above) and _is_positive(below)):
        return call
    return sympy.log(above / below, evaluate=False)


def _is_positive(body: Expr) -> bool:
    """Whether a body is a product of exponentials and powers of sums of positive terms."""
    if isinstance(body, sympy.exp):
        return True
    if isinstance(body, Sum):
        return _is_positive(body.function)
    if isinstance(body, Indexed):
        return str(body.base.name).endswith("_sum")  # a shifted sum of exponentials
    if body.is_Mul or body.is_Add:
        return all(_is_positive(part) for part in body.args)
    if body.is_Pow:
        return bool(body.exp.is_number) and _is_positive(body.base)
    return bool(body.is_number and body.is_positive)


def _shift_sums(body: Expr, statement: Statement, added: list[Statement]) -> Expr:
    """Shift every sum of exponentials over a row by the row's largest exponent."""
    shifted: dict[Expr, Expr] = {}
    extents = _extents(body, statement)
    for node in sorted(body.atoms(Sum), key=sympy.default_sort_key):
        term = node.function
        if not isinstance(term, sympy.exp) or len(node.limits) != 1:
            continue
        ((k, first, last),) = node.limits
        # an index may also be one that a sum around this one binds
        own = tuple(symbol for symbol in extents if symbol in node.free_symbols)
        shape = tuple(extent for symbol in own if (extent := extents[symbol]) is not None)
        if len(shape) < len(own):
            continue
        suffix = "" if not added else str(len(added) // 2 + 1)
        largest = Tensor(name=f"{statement.name}_max{suffix}", shape=shape)
        total = Tensor(name=f"{statement.name}_sum{suffix}", shape=shape)
        exponent = term.args[0]
        added.append(_added(largest, own, MaxOver(exponent, (k, first, last)), "largest exponent"))
        c = largest[own]
        moved = Sum(sympy.exp(exponent - c), (k, first, last))
        added.append(_added(total, own, moved, "sum of shifted exponentials"))
        shifted[node] = sympy.exp(c) * total[own]
    return body.xreplace(shifted) if shifted else body


def _extents(body: Expr, statement: Statement) -> dict[Symbol, Expr | None]:
    """Return the extent of every index; None for a name that two sums use differently."""
    extents: dict[Symbol, Expr | None] = dict(
        zip(statement.indices, statement.target.shape, strict=True)
    )
    for node in sorted(body.atoms(Sum), key=sympy.default_sort_key):
        for symbol, _, last in node.limits:
            extents[symbol] = last + 1 if extents.get(symbol, last + 1) == last + 1 else None
    return extents


def _added(target: Tensor, indices: tuple[Symbol, ...], body: Expr, what: str) -> Statement:
    body = canonical(body, indices)
    return Statement(target=target, indices=indices, body=body, origin=(f"identity: {what}",))


def _split_logs(body: Expr) -> Expr:
    """Write the log of a positive product as a sum, and ``log(1 + exp(z))`` by log1p."""

    def split(call: Expr) -> Expr:
        (argument,) = call.args
        if not _is_positive(argument) or isinstance(argument, Indexed):
            return call
        total = sympy.Integer(0)
        for factor in sympy.Mul.make_args(argument):
            base, exponent = factor.as_base_exp()
            if isinstance(factor, sympy.exp):
                total += factor.args[0]
            else:
                total += exponent * _log(base)
        return total

    return _replace_calls(body, sympy.log, split)


def _log(base: Expr) -> Expr:
    if base.is_Add and len(base.args) == 2 and base.args[0] == 1:
        other = base.args[1]
        if isinstance(other, sympy.exp):
            z = other.args[0]
            return Max(z, 0) + log1p(sympy.exp(-Abs(z)))
    return sympy.log(base)


def _logistic_powers(body: Expr) -> Expr:
    """Write ``exp(z)**a / (1 + exp(z))**b`` in factors of which none is infinite over infinite."""
    found: dict[Expr, Expr] = {}
    for product in body.atoms(sympy.Mul):
        for power in product.args:
            base, exponent = power.as_base_exp()
            if not (base.is_Add and len(base.args) == 2 and base.args[0] == 1):
                continue
            inner, least = base.args[1], exponent
            if not (isinstance(inner, sympy.exp) and least.is_Integer and least < 0):
                continue
            for call in product.args:
                times = call.args[0] / inner.args[0] if isinstance(call, sympy.exp) else 0
                if times in range(1, 1 - int(least)):
                    rest = [part for part in product.args if part not in (power, call)]
                    z = inner.args[0]
                    turned = (1 + sympy.exp(-z)) ** -times * (1 + inner) ** (times + least)
                    found[product] = sympy.Mul(*rest, turned)
    return body.xreplace(found)


def _small_differences(body: Expr) -> Expr:
    """Write ``exp(z) - 1`` and ``1 - tanh(z)**2`` without the difference."""
    found: dict[Expr, Expr] = {}
    for total in body.atoms(sympy.Add):
        number, rest = total.as_coeff_Add()
        if abs(number) != 1:
            continue
        for term in sympy.Add.make_args(rest):
            others = rest - term
            if isinstance(-number * term, sympy.exp):
                found[total] = others - number * expm1((-number * term).args[0])
            elif term.is_Mul or term.is_Pow:
                square = -number * term
                if square.is_Pow and square.exp == 2 and isinstance(square.base, sympy.tanh):
                    found[total] = others + number / sympy.cosh(square.base.args[0]) ** 2
    return body.xreplace(found)


def _replace_calls(body: Expr, function: type[Function], change: Callable[[Expr], Expr]) -> Expr:
    """Apply `change` to every call of `function`, innermost first."""
    calls = sorted(body.atoms(function), key=sympy.count_ops)
    for call in calls:
        body = body.xreplace({call: change(call)})
    return body


@cache
def prove_identities() -> tuple[str, ...]:
    """Prove the identities that this module uses, and return their names.

    The shift is proved for sums of three terms; a sum of n follows, since the proof
    treats each term alone.

    Raises
    ------
    InternalError
        Naming the identity that does not hold.
    """
    for name, difference in _differences().items():
        if difference != 0:
            raise InternalError(f"the identity {name} does not hold: {difference} is not 0")
    return tuple(_differences())


def _differences() -> dict[str, Expr]:
    a, c = sympy.symbols("a c", real=True)
    b = sympy.Symbol("b", positive=True)
    n = sympy.Symbol("n", integer=True)
    e = sympy.Symbol("e", positive=True)
    p, q = sympy.symbols("p q", integer=True, positive=True)
    f = sympy.symbols("f0:3", real=True)
    plain = sum(sympy.exp(x) for x in f)
    shifted = sympy.exp(c) * sum(sympy.exp(x - c) for x in f)
    up, down = sympy.Symbol("u", positive=True), sympy.Symbol("d", negative=True)
    return {
        "shift: slope in c": sympy.expand(sympy.diff(shifted, c)),
        "shift: at c = 0": sympy.expand(shifted.subs(c, 0) - plain),
        "log of a product": sympy.expand_log(sympy.log(sympy.exp(a) * b**n), force=False)
        - (a + n * sympy.log(b)),
        "expm1": expm1(a).rewrite(sympy.exp) - (sympy.exp(a) - 1),
        # the quotient of both sides, in e = exp(z) > 0
        "logistic": sympy.powsimp(
            sympy.expand_power_base(
                sympy.together(e**p / (1 + e) ** q * (1 + 1 / e) ** p * (1 + e) ** (q - p))
            )
        )
        - 1,
        "tanh near 1": sympy.cancel(
            (1 - sympy.tanh(a) ** 2 - 1 / sympy.cosh(a) ** 2).rewrite(sympy.exp)
        ),
        # exp of both sides agrees on either side of 0, and log is one to one
        **{
            f"log1p: {sign}": sympy.expand(
                sympy.exp(Max(x, 0)) * (1 + sympy.exp(-Abs(x))) - (1 + sympy.exp(x))
            )
            for sign, x in {"z > 0": up, "z < 0": down, "z = 0": sympy.Integer(0)}.items()
        },
    }
