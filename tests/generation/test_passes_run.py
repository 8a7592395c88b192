"""The pipeline: its order, the check after every pass, and what the passes do together."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import kernel_mutants
import pytest
from kernel_mutants import Mutant, NoPlace
from kernels import NETWORKS, assert_same_results, lowered

import codegen.passes
from codegen.cost import cost
from codegen.errors import InternalError
from codegen.kernel import Contract, KernelProgram, Reduce, Update
from codegen.passes import PIPELINE, PassReport, run, run_passes
from codegen.passes.run import COUNTED

STEP = lowered("3-4-4-2", "cross-entropy")["step"]


def test_the_order() -> None:
    names = [step.__name__ for step in PIPELINE]
    assert names == [
        "share",
        "start_from_bias",
        "fold_update",
        "fuse",
        "choose_matmul",
        "sparse_inputs",
        "keep_in_registers",
        "reuse_memory",
    ]


def test_each_entry_says_why_it_stands_there() -> None:
    source = (resources.files("codegen.passes") / "__init__.py").read_text("utf-8")
    listed = source[source.index("PIPELINE") : source.index("\n)\n")].splitlines()[1:]
    assert len(listed) == len(PIPELINE)
    assert all(re.fullmatch(r"    \w+,  # .+", line) for line in listed)


def test_every_pass_is_in_the_pipeline_and_has_a_test_file() -> None:
    folder = Path(codegen.passes.__file__).parent
    passes = {path.stem for path in folder.glob("*.py")} - {"__init__", "run"}
    assert passes == {step.__name__ for step in PIPELINE}
    for name in passes:
        assert Path(__file__).with_name(f"test_{name}.py").is_file()


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_the_whole_pipeline_changes_no_result(network: tuple[str, str]) -> None:
    for program in lowered(*network).values():
        optimised, _ = run_passes(program, PIPELINE)
        assert_same_results(program, optimised)


@pytest.mark.parametrize("network", NETWORKS, ids=" ".join)
def test_what_the_pipeline_achieves(network: tuple[str, str]) -> None:
    step = replace(lowered(*network)["step"], outputs=())
    optimised, _ = run_passes(step, PIPELINE)
    assert not any(isinstance(node, Update) for node in optimised.nodes)
    products = [node for node in optimised.nodes if isinstance(node, Contract)]
    layers = network[0].count("-")
    assert len(products) == layers + (layers - 1) + layers  # forward, backward, gradients
    assert sum(product.start is not None for product in products) == layers
    folded = [n for n in optimised.nodes if isinstance(n, Contract | Reduce) and n.beta]
    assert len(folded) == 2 * layers


def test_running_it_again_changes_nothing() -> None:
    once, _ = run_passes(STEP, PIPELINE)
    twice, reports = run_passes(once, PIPELINE)
    assert twice == once
    assert not any(report.changed for report in reports)


def test_the_given_programme_is_not_changed() -> None:
    before = repr(STEP)
    run_passes(STEP, PIPELINE)
    assert repr(STEP) == before


def test_the_report_counts_before_and_after() -> None:
    optimised, reports = run_passes(STEP, PIPELINE)
    assert [report.name for report in reports] == [step.__name__ for step in PIPELINE]
    assert reports[0].nodes[0] == len(STEP.nodes)
    assert reports[-1].nodes[1] == len(optimised.nodes)
    for earlier, later in itertools.pairwise(reports):
        assert later.nodes[0] == earlier.nodes[1]
        assert later.buffers[0] == earlier.buffers[1]
    by_name = {report.name: report for report in reports}
    bias, fold = by_name["start_from_bias"], by_name["fold_update"]
    assert bias.nodes[0] - bias.nodes[1] == 3, "one addition for each layer"
    assert bias.buffers[0] - bias.buffers[1] == 3
    assert fold.nodes[0] - fold.nodes[1] == 6, "one update for each parameter"
    registers, reuse = by_name["keep_in_registers"], by_name["reuse_memory"]
    row = 8 * COUNTED  # of float64
    assert registers.memory[0] - registers.memory[1] == 2 * row, "P"
    rows = 4 + 4 + 2, 4 + 4, 2  # Z1 to Z3 and what is written over them, dH2 and dH1, two sums
    assert reuse.memory == ((sum(rows) + 4 + 4 + 2 + 4 + 4 + 2) * row, (sum(rows) - 2) * row)


def test_a_pass_that_does_nothing_is_reported_as_such() -> None:
    def rest(program: KernelProgram) -> KernelProgram:
        return program

    program, reports = run_passes(STEP, (rest,))
    assert program is STEP
    count = len(STEP.nodes)
    (report,) = reports
    assert report == PassReport(
        name="rest",
        nodes=(count, count),
        buffers=report.buffers,
        memory=report.memory,
        costs=(cost(STEP, COUNTED), cost(STEP, COUNTED)),
        changed=False,
    )


# ---------------------------------------------------------------- verification takes place


def test_the_programme_is_verified_first_and_after_each_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[KernelProgram] = []

    def verify(program: KernelProgram) -> KernelProgram:
        seen.append(program)
        return program

    monkeypatch.setattr(run, "verify", verify)
    optimised, _ = run_passes(STEP, PIPELINE)
    assert len(seen) == 1 + len(PIPELINE)
    assert seen[0] is STEP
    assert seen[-1] is optimised


def without_its_first_node(step: Callable[[KernelProgram], KernelProgram]) -> Mutant:
    def spoiled(program: KernelProgram) -> KernelProgram:
        after = step(program)
        return replace(after, nodes=after.nodes[1:])

    return spoiled


@pytest.mark.parametrize("number", range(len(PIPELINE)), ids=[p.__name__ for p in PIPELINE])
def test_a_spoiled_pass_is_caught_where_it_stands(number: int) -> None:
    passes = list(PIPELINE)
    reached: list[int] = []

    def note(program: KernelProgram) -> KernelProgram:
        reached.append(1)
        return program

    passes[number] = without_its_first_node(passes[number])
    passes.insert(number + 1, note)
    with pytest.raises(InternalError, match="before it is written"):
        run_passes(STEP, passes)
    assert not reached, "no pass runs on a programme that is not well formed"


def test_a_pass_that_changes_a_result_is_refused() -> None:
    """Well formed, and wrong: the interpreter tells."""

    def drops_the_bias(program: KernelProgram) -> KernelProgram:
        nodes = [
            replace(node, start=None) if isinstance(node, Contract) else node
            for node in program.nodes
        ]
        return replace(program, nodes=tuple(nodes))

    passes = (PIPELINE[0], PIPELINE[1], drops_the_bias, *PIPELINE[2:])
    with pytest.raises(InternalError, match=r"step: drops_the_bias changed what \w+ comes to"):
        run_passes(STEP, passes)
    run_passes(STEP, passes, interpret=False)


def test_a_programme_that_is_not_well_formed_is_not_even_begun() -> None:
    with pytest.raises(InternalError, match="before it is written"):
        run_passes(replace(STEP, nodes=STEP.nodes[1:]), ())


def test_a_pass_that_breaks_is_not_skipped() -> None:
    def broken(program: KernelProgram) -> KernelProgram:
        raise ZeroDivisionError(program.name)

    with pytest.raises(ZeroDivisionError, match="step"):
        run_passes(STEP, (*PIPELINE, broken))


# well formed, and wrong: only a comparison can tell
@pytest.mark.parametrize("mutant", kernel_mutants.EVERY.values(), ids=kernel_mutants.EVERY)
def test_the_comparison_sees_every_mistake_after_the_pipeline(mutant: Mutant) -> None:
    optimised, _ = run_passes(STEP, PIPELINE)
    try:
        wrong = mutant(optimised)
    except NoPlace:
        assert mutant is kernel_mutants.flip_sign_of_update, "updates are all folded"
        return
    with pytest.raises(AssertionError):
        assert_same_results(STEP, wrong)
