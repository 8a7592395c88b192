"""Reuse of forward values: write a derivative in what the forward pass already computed.

A forward statement ``T[o] := f(g)``, where ``g`` is a function of one entry such as
``tanh(Z[o])`` or ``exp(-Z[o])``, is an equation that can be solved for ``g`` whenever ``f``
is a quotient of linear functions of ``g``. Putting the solution in the place of ``g`` turns
``1 - tanh(Z)**2`` into ``1 - H**2``, ``exp(-Z)/(1 + exp(-Z))**2`` into ``H*(1 - H)`` and
``exp(Z)/sum(exp(Z))`` into ``P``. It is one rewriting for every such function; nothing here
knows their names.

Two more of the kind: where ``f`` is linear in the log of a sum, the sum itself is the
exponential of the solution, so that ``exp(Z)/sum(exp(Z))`` is ``exp(P)`` after ``log_softmax``;
and where the body is a product that stands within a product, its name takes its place.
"""

from collections.abc import Iterator

import sympy
from sympy import Dummy, Expr, Function, Indexed, Pow
from sympy.concrete.expr_with_limits import ExprWithLimits

from derive.indices import canonical, rename, with_fresh_sums
from derive.program import Statement, Sum, indices_of, occurrences, tensor_of
from derive.shifts import is_shifted

# what a node costs to compute, roughly in multiplications: decides between two equal forms
_FUNCTION, _SUM, _OTHER = 20, 10, 1


MOST_CANCELLED = 120
"""Cost of the largest product whose common factors are cancelled."""


def cost(expression: Expr) -> int:
    """Return a rough cost of computing an expression, by which rewritings are judged."""
    total = 0
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, Indexed) or not node.args:
            total += _OTHER
            continue
        if isinstance(node, ExprWithLimits):
            total += _SUM
            stack.append(node.function)
            continue
        if isinstance(node, Function):
            total += _FUNCTION
        elif node.is_Pow:
            total += _OTHER * (1 if node.exp.is_positive else 2 if node.exp == -1 else 3)
        else:
            total += _OTHER
        stack.extend(node.args)
    return total


def reuse(expression: Expr, statement: Statement) -> Expr:
    """Return `expression` with the value of `statement` put in wherever that is cheaper.

    Equal in value wherever both sides are finite. Returns the argument itself where
    nothing is gained.
    """
    best = expression
    for operand in statement.reads():
        for anchor in _anchors(expression, operand):
            for candidate in _candidates(best, statement, anchor):
                if cost(candidate) < cost(best):
                    best = candidate
    return best


def is_reusable(statement: Statement) -> bool:
    """Whether the statement applies a function, and reads an entry of its own place."""
    own = set(statement.indices)
    calls = bool(statement.body.atoms(Function))
    return calls and any(set(indices_of(read)) == own for read in occurrences(statement.body))


def _anchors(expression: Expr, operand: str) -> list[Expr]:
    """Return where an operand is read; outside of it, a name and its value may differ."""
    reads = (read for read in occurrences(expression) if tensor_of(read) == operand)
    found = (read for read in reads if not is_shifted(read))
    return sorted(found, key=sympy.default_sort_key)


def _candidates(expression: Expr, statement: Statement, anchor: Expr) -> Iterator[Expr]:
    """Yield `expression` rewritten at the place of `anchor`, in each way that works."""
    for own in _anchors(statement.body, tensor_of(anchor)):
        if set(indices_of(own)) != set(statement.indices):
            continue
        place = dict(zip(indices_of(own), indices_of(anchor), strict=True))
        here = tuple(place[symbol] for symbol in statement.indices)
        frozen: dict[Expr, Dummy] = {}
        body = _freeze(rename(with_fresh_sums(statement.body), place), frozen)
        if any(total.free_symbols & _bound(expression) for total in frozen):
            continue  # a scalar cannot stand for what depends on the index of another sum
        held = _freeze(expression, frozen, only_known=True)
        thawed = {symbol: total for total, symbol in frozen.items()}
        value = statement.target[here]
        for call in sorted(body.atoms(Function), key=sympy.default_sort_key):
            if anchor in occurrences(call) and held.has(call):
                solution = _solve(body, call, value)
                if solution is None:
                    continue
                candidate = _put(held, call, solution)
                if _is_sound(candidate, held, anchor):
                    yield _thaw(candidate, thawed)
            elif isinstance(call, sympy.log) and call.args[0] in thawed and held.has(call.args[0]):
                solution = _solve(body, call, value)
                if solution is not None:
                    candidate = merge_exponentials(
                        held.xreplace({call.args[0]: sympy.exp(solution)})
                    )
                    if _is_sound(candidate, held, anchor):
                        yield _thaw(candidate, thawed)
        if body.is_Mul:
            candidate = held.subs(body, value)  # SymPy finds a product within a product
            if _divisors(candidate) <= _divisors(held):
                yield _thaw(candidate, thawed)


def _is_sound(candidate: Expr, before: Expr, anchor: Expr) -> bool:
    """Whether a rewriting is complete, and divides by nothing that was not divided by.

    A forward value may be 0 where the derivative is finite, and what is left of a function
    beside its value cancels: ``exp(z)`` beside ``P = exp(z)/(1 + exp(z))``.
    """
    if any(anchor in occurrences(call) for call in candidate.atoms(Function)):
        return False
    return _divisors(candidate) <= _divisors(before)


def _divisors(expression: Expr) -> set[Expr]:
    return {power.base for power in expression.atoms(Pow) if power.exp.is_negative}


def _bound(expression: Expr) -> set[Expr]:
    return {limit[0] for total in expression.atoms(ExprWithLimits) for limit in total.limits}


def _solve(body: Expr, call: Expr, value: Expr) -> Expr | None:
    """Return ``call`` from ``value = body``, if the body is a quotient linear in it."""
    unknown = Dummy("g", real=True)
    asked = body.xreplace({call: unknown})
    if any(outer.has(unknown) for outer in asked.atoms(Function)):
        return None  # not linear; of functions in functions the equation would be long
    numerator, denominator = sympy.fraction(sympy.together(asked))
    equation = sympy.expand(numerator - value * denominator)
    slope = sympy.diff(equation, unknown)
    if slope == 0 or slope.has(unknown):
        return None
    return sympy.factor_terms(-equation.xreplace({unknown: sympy.Integer(0)}) / slope)


def _put(expression: Expr, call: Expr, solution: Expr) -> Expr:
    """Replace a call, and cancel where the solution brought in a quotient of sums."""
    if isinstance(expression, Sum):
        inner = _put(expression.function, call, solution)
        total = inner
        for symbol, first, last in expression.limits:
            outside, inside = total.as_independent(symbol, as_Add=False)
            total = outside * expression.func(inside, (symbol, first, last))
        return total
    if expression == call:
        return solution
    if isinstance(expression, Indexed) or not expression.has(call):
        return expression
    result = expression.func(*(_put(argument, call, solution) for argument in expression.args))
    if result.is_Mul and any(a.is_Pow and a.base.is_Add and a.exp.is_negative for a in result.args):
        return sympy.factor_terms(cancel(result))
    return result


def cancel(product: Expr) -> Expr:
    """Cancel common factors of a product; sums, calls and reads are opaque to it.

    A large product is returned as it is: polynomials in many variables take minutes.
    """
    if cost(product) > MOST_CANCELLED:
        return product
    opaque = product.atoms(Indexed) | product.atoms(ExprWithLimits, Function)
    names = {
        node: Dummy(f"a{n}") for n, node in enumerate(sorted(opaque, key=sympy.default_sort_key))
    }
    back = {name: node for node, name in names.items()}
    return sympy.cancel(product.xreplace(names)).xreplace(back)


def merge_exponentials(body: Expr) -> Expr:
    """Write ``exp(a) * exp(b)`` as ``exp(a + b)``: the sum is small where the factors are not."""
    if isinstance(body, Indexed) or not body.has(sympy.exp):
        return body
    if body.is_Mul:
        exponentials = [factor for factor in body.args if isinstance(factor, sympy.exp)]
        if len(exponentials) > 1:
            rest = [factor for factor in body.args if not isinstance(factor, sympy.exp)]
            total = sympy.Add(*(factor.args[0] for factor in exponentials))
            return sympy.Mul(*map(merge_exponentials, rest), sympy.exp(total))
    if isinstance(body, ExprWithLimits):
        return body.func(merge_exponentials(body.function), *body.limits)
    return body.func(*map(merge_exponentials, body.args))


def _freeze(expression: Expr, frozen: dict[Expr, Dummy], *, only_known: bool = False) -> Expr:
    """Replace sums by scalars, the same sum by the same one whatever its index is called."""
    if isinstance(expression, ExprWithLimits):
        free = tuple(sorted(expression.free_symbols, key=sympy.default_sort_key))
        key = canonical(expression, free)
        if key in frozen or not only_known:
            return frozen.setdefault(key, Dummy(f"s{len(frozen)}", positive=True))
        inner = _freeze(expression.function, frozen, only_known=only_known)
        return expression.func(inner, *expression.limits)
    if isinstance(expression, Indexed) or not expression.has(ExprWithLimits):
        return expression
    parts = (_freeze(argument, frozen, only_known=only_known) for argument in expression.args)
    return expression.func(*parts)


def _thaw(expression: Expr, thawed: dict[Dummy, Expr]) -> Expr:
    return expression.xreplace(thawed)
