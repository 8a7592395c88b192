"""The straight line from a network to source, on one screen."""

from collections.abc import Collection
from dataclasses import replace

from codegen.emit.block_kernels import has_vectors
from codegen.emit.c_module import c_source, is_prefix
from codegen.emit.lab import lab_source
from codegen.emit.module import module_source
from codegen.emit.numpy_any_size import any_size_source
from codegen.emit.numpy_module import numpy_source
from codegen.errors import InputError, InternalError
from codegen.headers import c_header, lab_header, numba_header, numpy_header
from codegen.kernel import DTYPES, Argument, Dtype, KernelProgram, Role, Update
from codegen.lowering import lower
from codegen.optimizer_programs import optimizer_programs
from codegen.optimizers import Recipe, recipe
from codegen.passes import CHUNKS_PIPELINE, LANES_PIPELINE, PIPELINE, run_passes, sparse_like
from codegen.source import GeneratedSource
from derive.gradient import gradient_program, vjp_program
from derive.names import lab_names
from derive.network import loss_program
from derive.program import Program, base, scalar
from derive.rewrite import rewrite_program
from derive.second_order import hvp_program
from derive.spec import NetworkSpec, parse_spec
from derive.stable import stable_program

NAMES = ("plain", "lab")
TARGETS = ("numba", "numpy", "c")


def generate(
    spec: NetworkSpec | str,
    *,
    target: str = "numba",
    prefix: str = "net",
    dtype: str = "float32",
    labels: str = "one-hot",
    names: str = "plain",
    hvp: bool = False,
    optimizer: str | None = None,
    clip_norm: bool = False,
    schedule: str = "constant",
    penalty: bool = False,
    shards: bool = False,
) -> GeneratedSource:
    """Return a module that computes and trains a network: formulas in, source out.

    Parameters
    ----------
    spec
        The network, or its text; every size an integer.
    target
        ``"numba"`` for compiled kernels; ``"numpy"`` for the same module in plain NumPy, to be
        read, and for where Numba does not install; ``"c"`` for C99 and a header.
    prefix
        Of the names in C, and the stem of its two files.
    dtype
        Type of all arrays, ``"float32"`` or ``"float64"``.
    labels
        ``"one-hot"`` lets the derivation use that every row of Y sums to 1; ``"any"`` not.
    names
        ``"plain"``, or ``"lab"`` for the lab's functions and names in plain NumPy, to be
        read: no pass has run on them, so ``reports`` is empty.
    hvp
        Whether the module also has ``hvp``, the Hessian times a direction.
    optimizer
        What its ``train`` does, by a name of `codegen.optimizers.METHODS`, with weight decay as
        a keyword. None is stochastic gradient descent and nothing else, the fastest.
    clip_norm
        Whether ``train`` clips the gradient by its norm, to what its keyword says.
    schedule
        Course of the learning rate: ``"constant"``, ``"step"`` (a tenth after each third of the
        run) or ``"cosine"`` (to 0 at its end).
    penalty
        Whether ``train`` has keywords ``alpha``, a penalty on the weights whose number is given
        there, and ``losses``, for the loss that the steps see: see `codegen.emit.penalty`. An
        optimiser must be named.
    shards
        Whether several processes may train together, each on a shard of every batch: ``train``
        then has keywords ``shard``, ``shards`` and ``reduce``: see `codegen.emit.shards`. An
        optimiser must be named.

    Raises
    ------
    InputError
        If the text cannot be read, a size is a name, the dtype, names, optimiser or schedule
        are not known, or `hvp` or an optimiser is asked for with the lab's names, among whose
        functions they are not.
    """
    if isinstance(spec, str):
        spec = parse_spec(spec)
    kind = _dtype(dtype)
    sizes = _integer_sizes(spec)
    if target not in TARGETS:
        raise InputError(f'target: "{target}" is not known. Known: {", ".join(TARGETS)}.')
    if target == "c":
        _refuse_in_c(prefix, names, hvp=hvp)
    if names not in NAMES:
        raise InputError(f'names: "{names}" is not known. Known: {", ".join(NAMES)}.')
    if names == "lab" and hvp:
        raise InputError(
            "hvp: the lab has no function for it. Leave out --names lab, or --hvp; "
            "gradwright derive shows its formulas under the lab's names."
        )
    trained_by = recipe(optimizer, clip_norm=clip_norm, schedule=schedule)
    if names == "lab":
        _refuse_in_lab(spec, trained_by)
        text = _lab_module(spec, sizes, kind, labels)
        return GeneratedSource(spec=spec, dtype=kind, text=text, reports={})
    # derive: once as a person reads it, once with the samples' weights in place of 1/B
    printed = rewrite_program(gradient_program(loss_program(spec)), labels=labels)
    loss = loss_program(spec, weighted=True)
    derived = rewrite_program(gradient_program(loss), labels=labels)
    gradient = stable_program(derived)
    pullback = stable_program(rewrite_program(vjp_program(loss), labels=labels))
    gradients = tuple(gradient.gradients.values())
    if penalty and (target != "numba" or optimizer is None):
        raise InputError("penalty: only the target numba has it, with an optimizer named.")
    if shards and (target != "numba" or optimizer is None or penalty):
        raise InputError(
            "shards: only the target numba has them, with an optimizer named and no penalty."
        )
    change = optimizer_programs(trained_by, kind)
    # lower: one kernel programme for each thing that the module does
    programs = {
        "forward": lower(gradient, name="forward", outputs=("P",), dtype=kind),
        "loss": lower(gradient, name="loss", outputs=("P", "loss"), dtype=kind),
        "gradients": lower(gradient, name="gradients", outputs=(*gradients, "loss"), dtype=kind),
        "vjp": lower(
            pullback, name="vjp", outputs=("dX", *pullback.gradients.values()), dtype=kind
        ),
    }
    wanted = gradients
    if penalty:
        _check_penalty(spec, derived, labels)
        wanted = (*gradients, "loss")
    of_step = gradient
    if shards and spec.l2:  # each shard adds its share of what large weights cost
        shared = loss_program(spec, weighted=True, shared=True)
        of_step = stable_program(rewrite_program(gradient_program(shared), labels=labels))
    step = lower(of_step, name="step", outputs=wanted, dtype=kind)
    programs["step"] = _with_updates(of_step, step, change.rate)
    second = None
    if hvp:
        printed = rewrite_program(hvp_program(printed), labels=labels)
        second = stable_program(rewrite_program(hvp_program(derived), labels=labels))
        products = tuple(second.hessian_products.values())
        programs["hvp"] = lower(second, name="hvp", outputs=products, dtype=kind)
    named = {
        t.name: tuple(int(n) for n in t.shape) for t in loss.inputs if t.name in loss.parameters
    }
    if target == "numpy":
        text = numpy_source(
            header=numpy_header(spec, kind, printed, trained_by),
            spec=str(spec),
            objective=_objective(spec),
            sizes=sizes,
            output=spec.activations[-1],
            parameters=named,
            gradient=gradient,
            pullback=pullback,
            second=second,
            programs=programs,
            optimizer=change,
        )
        return GeneratedSource(spec=spec, dtype=kind, text=text, reports={})
    if target == "c":
        programs["loss"] = lower(gradient, name="loss", outputs=("loss",), dtype=kind)
        del programs["vjp"]  # the interface in C has none
        passed = {name: run_passes(program, LANES_PIPELINE) for name, program in programs.items()}
        small = {name: program for name, (program, _) in passed.items()}
        lanes = has_vectors(small, named, gradient.gradients)
        if not lanes:
            # who calls a chunk's kernel gives it room for the gradients, in a step too
            programs["step"] = _with_role(programs["step"], gradients, "output")
            passed = {
                name: run_passes(program, CHUNKS_PIPELINE) for name, program in programs.items()
            }
        text, heading = c_source(
            prefix=prefix,
            header=c_header(spec, kind, printed, trained_by),
            sizes=sizes,
            output=spec.activations[-1],
            parameters=named,
            programs={name: optimised for name, (optimised, _) in passed.items()},
            assumptions=gradient.assumptions,
            optimizer=change,
            gradients=gradient.gradients,
            lanes=lanes,
        )
        reports = {name: report for name, (_, report) in passed.items()}
        if change.rate is None:
            reports |= change.reports
        return GeneratedSource(spec=spec, dtype=kind, text=text, header=heading, reports=reports)
    # optimise, and emit
    passed = {name: run_passes(program, LANES_PIPELINE) for name, program in programs.items()}
    lanes = not (penalty or shards) and has_vectors(
        {name: program for name, (program, _) in passed.items()}, named, gradient.gradients
    )
    if not lanes:
        passed = {name: run_passes(program, PIPELINE) for name, program in programs.items()}
        optimised, report = passed["loss"]
        passed["loss"] = sparse_like(optimised, passed["step"][0]), report
    emitted = {name: optimised for name, (optimised, _) in passed.items()}
    text = module_source(
        header=numba_header(spec, kind, printed, trained_by),
        spec=str(spec),
        objective=_objective(spec),
        sizes=sizes,
        output=spec.activations[-1],
        parameters=named,
        programs=emitted,
        reference=replace(programs["loss"], outputs=("loss",)),
        gradient_reference=replace(programs["gradients"], outputs=gradients) if hvp else None,
        assumptions=gradient.assumptions,
        lanes=lanes,
        optimizer=change,
        gradient_names=gradient.gradients,
        penalty=penalty,
        shards=shards,
    )
    reports = {name: report for name, (_, report) in passed.items()}
    if change.rate is None:
        reports |= change.reports
    return GeneratedSource(spec=spec, dtype=kind, text=text, reports=reports, programs=emitted)


def generate_any_size(
    spec: NetworkSpec | str, *, labels: str = "one-hot", optimizer: str
) -> GeneratedSource:
    """Return a module in plain NumPy that trains networks of any sizes, with a penalty.

    Parameters
    ----------
    spec
        The network, or its text, with a name for every size: ``"n0-n1:relu-n2"``.
    labels, optimizer
        As for `generate`. It computes in the type of the arrays that it is given.

    Raises
    ------
    InputError
        If the text cannot be read, a size is a number, or a name is not known.
    """
    if isinstance(spec, str):
        spec = parse_spec(spec)
    if not all(isinstance(size, str) for size in spec.sizes):
        raise InputError(f"network: {spec} has a size that is a number; expected names, n0-n1-n2.")
    kind: Dtype = "float64"  # the accuracy of the error function
    trained_by = recipe(optimizer)
    printed = rewrite_program(gradient_program(loss_program(spec, penalty=True)), labels=labels)
    loss = loss_program(spec, weighted=True, penalty=True)
    text = any_size_source(
        header=numpy_header(spec, "the type of its arrays", printed, trained_by),
        spec=str(spec),
        dtype=kind,
        gradient=stable_program(rewrite_program(gradient_program(loss), labels=labels)),
        optimizer=optimizer_programs(trained_by, kind),
    )
    return GeneratedSource(spec=spec, dtype=kind, text=text, reports={})


def _check_penalty(spec: NetworkSpec, gradient: Program, labels: str) -> None:
    """Make sure that a penalty adds ``l2 W`` to the gradient of each weight, and nothing else.

    The kernels take that for the decay of the weights which an optimiser has.
    """
    loss = loss_program(spec, weighted=True, penalty=True)
    penalised = rewrite_program(gradient_program(loss), labels=labels)
    for name, derivative in gradient.gradients.items():
        before, after = gradient.statement(derivative), penalised.statement(derivative)
        added = (after.body - before.body).expand()
        expected = 0
        if len(before.indices) == 2:
            expected = scalar("l2") * base(name)[before.indices]
        if before.indices != after.indices or added != expected:
            raise InternalError(f"the penalty adds {added} to {derivative}, not {expected}")


def _objective(spec: NetworkSpec) -> dict[str, object]:
    """Return what a module says of its loss: enough to derive it again."""
    return {
        "LOSS": spec.loss,
        "DEFINITIONS": tuple(map(str, spec.definitions)),
        "L2": spec.l2,
    }


def _refuse_in_c(prefix: str, names: str, *, hvp: bool) -> None:
    """Refuse what the C target does not have."""
    if not is_prefix(prefix):
        raise InputError(
            f'prefix: "{prefix}" cannot begin names in C, which have letters, digits and "_" and '
            "start with a letter. Choose another file name, for example net.c."
        )
    if names == "lab":
        raise InputError("names: the lab's functions are Python. Leave out --names lab.")
    if hvp:
        raise InputError(
            "hvp: the interface in C has no function for it. Use --target numba or numpy."
        )


def _refuse_in_lab(spec: NetworkSpec, trained_by: Recipe) -> None:
    """Refuse a loss that the lab's ``loss_accuracy(Yhat, Y)`` cannot compute, and optimisers."""
    if not trained_by.is_plain:
        raise InputError(
            "names: the lab's sgd(params, grads, eta) is all that it trains with. "
            "Leave out --names lab, or --optimizer, --clip-norm and --schedule."
        )
    reads_Z = spec.loss == "hinge" or (spec.formula is not None and "Z" in spec.formula.names)
    if spec.l2 or reads_Z:
        what = "the weights, for --l2" if spec.l2 else "Z, the layer before its activation"
        raise InputError(
            f"names: the lab's loss_accuracy(Yhat, Y) does not see {what}. "
            "Use --names plain, or another loss."
        )


def _lab_module(spec: NetworkSpec, sizes: tuple[int, ...], dtype: Dtype, labels: str) -> str:
    """Return the module in the lab's form: as it is derived, statement by statement."""
    gradient = rewrite_program(gradient_program(loss_program(spec)), labels=labels)
    printed = lab_names(gradient)
    return lab_source(
        header=lab_header(spec, printed),
        spec=str(spec),
        sizes=sizes,
        output=spec.activations[-1],
        dtype=dtype,
        printed=printed,
        stable=lab_names(stable_program(gradient)),
    )


def _with_role(program: KernelProgram, names: Collection[str], role: Role) -> KernelProgram:
    """Return a programme in which the buffers of these names have another role."""
    buffers = tuple(replace(b, role=role) if b.name in names else b for b in program.buffers)
    return replace(program, buffers=buffers)


def _with_updates(
    gradient: Program, program: KernelProgram, rate: Argument | None
) -> KernelProgram:
    """Return the programme of a step: the gradients, then ``W := W - eta dW`` for each.

    Without a `rate` the optimiser needs the gradients themselves, and they are what is computed.
    """
    program = _with_role(program, program.outputs, "work")
    made = tuple(gradient.gradients.values())
    others = tuple(name for name in program.outputs if name not in made)  # the loss, or nothing
    if rate is None:
        return program
    updates = tuple(
        Update(
            parameter=name,
            gradient=grad,
            rate=rate,
            origin=(f"{name} := {name} − η {grad}",),
        )
        for name, grad in gradient.gradients.items()
    )
    return replace(
        program,
        nodes=program.nodes + updates,
        outputs=(*gradient.gradients, *others),
    )


def _dtype(dtype: str) -> Dtype:
    for known in DTYPES:
        if dtype == known:
            return known
    raise InputError(f'dtype: "{dtype}" is not known. Known: {", ".join(DTYPES)}.')


def _integer_sizes(spec: NetworkSpec) -> tuple[int, ...]:
    for number, value in enumerate(spec.sizes):
        if isinstance(value, str):
            raise InputError(
                f'network: sizes[{number}] is called "{value}"; code needs numbers. '
                "Write every size as an integer, for example 2-10-2."
            )
    return tuple(int(value) for value in spec.sizes)
