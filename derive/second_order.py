"""Second order: the gradient programme differentiated again, along a direction.

Every value of a programme changes when the parameters move along a direction ``v``. For a
statement ``T[o] := body`` with occurrences ``X[e]`` in the body::

    vT[o]  =  sum over the occurrences of  (∂body/∂X[e]) * vX[e]

where the slope is that of the one rule in `derive.gradient`, `slopes`: `sympy.diff` in a
scalar, and nothing else. For a parameter, ``vW1`` is the direction itself. Applied to the
statements of the gradient it gives ``hW1``, the derivative of ``dW1`` along ``v``, which is
the Hessian times ``v``: no entry of the Hessian is ever computed, and the programme is at
most a few times as long as that of the gradient.

A kink has the second derivative 0, also at the corner. The step that uses it says so.

References
----------
B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6(1),
1994; A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 5
(forward over reverse).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy
from sympy import Expr, Piecewise, sign

from derive.body_slopes import slopes
from derive.check import check_program
from derive.errors import InputError
from derive.gradient import total_over
from derive.indices import canonical
from derive.program import Program, Statement, Step, Tensor, occurrences, tensor_of

ALONG, KINK = "chain rule along v", "kink"  # the rules, as steps name them


def hvp_program(program: Program) -> Program:
    """Return a gradient programme followed by the product of the Hessian with a direction.

    Parameters
    ----------
    program
        The result of `derive.gradient_program` or, for formulas that read better, of
        `derive.rewrite_program`. What it assumes must hold wherever the parameters are: the
        direction moves them, and nothing else.

    Returns
    -------
    Program
        The same statements, with the direction ``v{parameter}`` as further inputs; then
        ``v{name}``, the derivative along the direction of each value that is needed, and
        ``h{name}`` that of its gradient ``d{name}``. ``h{parameter}`` are further outputs,
        shaped as the parameters; one that is zero has a statement that says so.

    Raises
    ------
    InputError
        If the programme holds no gradients.
    InternalError
        If a statement is outside of what the rule carries.

    Examples
    --------
    >>> import derive
    >>> gradient = derive.rewrite_program(derive.gradient_program(derive.loss_program("2-3-2")))
    >>> second = derive.rewrite_program(derive.hvp_program(gradient))
    >>> print(second.statement("vZ1"))
    vZ1[i,j] = Σ_k X[i,k] vW1[j,k] + vb1[j]
    """
    if not program.gradients:
        raise InputError(
            "hvp_program: the programme has no gradients. "
            "Give it the result of derive.gradient_program."
        )
    return AlongDirection(program).result()


class AlongDirection:
    """The derivative of each tensor along the direction, statement by statement.

    `derivatives` holds each that is not zero, and those of gradients; `steps` how they came
    about. `result` keeps what the Hessian's product needs.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.values = {gradient: name for name, gradient in program.cotangents}
        tensors = program.tensors()
        self.directions = tuple(
            Tensor(name=f"v{name}", shape=tensors[name].shape) for name in program.parameters
        )
        self.tangents = dict(zip(program.parameters, self.directions, strict=True))
        self.still: dict[str, str] = {}  # what only kinks could move, and which
        self.steps: list[Step] = []
        gradients = program.gradients.values()
        order = {name: place for place, name in enumerate(tensors)}
        self.derivatives: list[Statement] = []
        for statement in _needed(program.statements, gradients):
            made = self._differentiated(statement, order)
            if made.body == 0 and statement.name not in gradients:
                continue  # it does not change, and neither does what reads it for its sake
            self.tangents[statement.name] = made.target
            self.derivatives.append(made)

    def result(self) -> Program:
        """Return the programme with the derivatives that the Hessian's product needs."""
        program = self.program
        products = tuple(self.tangents[name].name for name in program.gradients.values())
        kept = _needed(self.derivatives, products)
        names = {statement.name for statement in kept}
        tangents = ((name, tensor.name) for name, tensor in self.tangents.items())
        return check_program(
            replace(
                program,
                inputs=(*program.inputs, *self.directions),
                statements=(*program.statements, *kept),
                outputs=(*program.outputs, *products),
                tangents=tuple(pair for pair in tangents if pair[1] in names),
                steps=(*program.steps, *(step for step in self.steps if step.target in names)),
            )
        )

    def _differentiated(self, statement: Statement, order: dict[str, int]) -> Statement:
        """Return the statement of the derivative along the direction."""
        differentiates = self.values.get(statement.name)
        name = f"h{differentiates}" if differentiates else f"v{statement.name}"
        target = Tensor(name=name, shape=statement.target.shape)
        operands = sorted(self.tangents.keys() & {*statement.reads()}, key=order.__getitem__)
        # factors stay in their sums, where they may be a quotient that the forward pass knows
        terms = [
            total_over(
                slope.value * self.tangents[operand][slope.position], slope.bound, pull=False
            )
            for operand in operands
            for slope in slopes(statement.body, operand)
        ]
        body = canonical(sympy.Add(*terms), statement.indices)
        origin = tuple(f"rule: {statement.name} reads {operand}" for operand in operands)
        if body == 0:
            origin = (f"{statement.name} does not change along v",)
        made = Statement(target=target, indices=statement.indices, body=body, origin=origin)
        changes = ", ".join(f"{self.tangents[name].name} for {name}" for name in operands)
        reason = f"{statement.name} changes with what it reads: {changes}"
        self._record(made, target[statement.indices or ()], ALONG, reason)
        kinks = [name for name in operands if differentiates and _jumps(statement.body, name)]
        kinks += [self.still[name] for name in statement.reads() if name in self.still]
        if kinks:
            told = " and ".join(dict.fromkeys(kinks))
            self._record(made, body, KINK, f"the second derivative of a kink, here in {told}, is 0")
            if body == 0:
                self.still[statement.name] = told
        return made

    def _record(self, made: Statement, before: Expr, rule: str, reason: str) -> None:
        self.steps.append(
            Step(
                rule=rule,
                target=made.name,
                indices=made.indices,
                before=before,
                after=made.body,
                reason=reason,
            )
        )


def _jumps(body: Expr, operand: str) -> bool:
    """Whether a body holds a function that jumps as `operand` changes."""
    conditions = [case[1] for choice in body.atoms(Piecewise) for case in choice.args]
    calls = [*conditions, *body.atoms(sign)]
    return any(tensor_of(read) == operand for call in calls for read in occurrences(call))


def _needed(statements: Sequence[Statement], outputs: Iterable[str]) -> tuple[Statement, ...]:
    """Return the statements that some of `outputs` needs, in their order."""
    wanted = set(outputs)
    kept: list[Statement] = []
    for statement in reversed(statements):
        if statement.name in wanted:
            wanted |= set(statement.reads())
            kept.append(statement)
    return tuple(reversed(kept))
