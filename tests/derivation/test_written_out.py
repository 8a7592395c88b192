"""Gradients written out: the same values, and nothing left that is not given or forward."""

import re

import numpy as np
import pytest
from formula_text import parse, read_entry

import derive
from derive.errors import InputError
from derive.printing import TEXT, written_out
from derive.program import BATCH

SPECS = ["2-2", "3-4-2", "3-4:relu-3:sigmoid-2", "3-4:softmax-3:softmax-2"]


def values_of(program: derive.Program) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {t.name: [3 if e == BATCH else int(e) for e in t.shape] for t in program.inputs}
    values = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    values["Y"] = np.eye(2)[[0, 1, 1]]
    return values


@pytest.mark.parametrize("spec", SPECS)
def test_the_values_are_those_of_the_programme(spec: str) -> None:
    program = derive.derivation(spec).program
    values = values_of(program)
    results = program.evaluate(values)
    arrays = {name: array for name, array in (values | results).items() if not name.startswith("d")}
    sizes = {"B": 3}
    for statement, left, right in written_out(program, TEXT, form="index"):
        assert left.startswith(f"{statement.name}[")
        tree = parse(right)
        wanted = results[statement.name]
        for place in np.ndindex(wanted.shape):
            at = dict(zip((symbol.name for symbol in statement.indices), place, strict=True))
            assert read_entry(tree, at, arrays, sizes) == pytest.approx(wanted[place], rel=1e-9)


@pytest.mark.parametrize("form", ["matrix", "index"])
@pytest.mark.parametrize("spec", SPECS)
def test_no_cotangent_is_left(spec: str, form: str) -> None:
    program = derive.derivation(spec).program
    lines = written_out(program, TEXT, form=form)
    assert [statement.name for statement, _, _ in lines] == list(program.gradients.values())
    assert not any(re.search(r"\bd[A-Z]", right) for _, _, right in lines)


def test_the_labs_gradients_as_matrices() -> None:
    program = derive.derivation("2-10-2").program
    assert [f"{left} = {right}" for _, left, right in written_out(program, TEXT)] == [
        "dW1 = ((((P − Y)/B) W2) ∘ (1 − H1 ∘ H1))ᵀ X",
        "db1 = ((((P − Y)/B) W2) ∘ (1 − H1 ∘ H1))ᵀ 1",
        "dW2 = ((P − Y)/B)ᵀ H1",
        "db2 = ((P − Y)/B)ᵀ 1",
    ]


def test_no_index_is_bound_twice() -> None:
    program = derive.derivation("3-4:softmax-3:softmax-4-2").program
    for _, _, right in written_out(program, TEXT, form="index"):
        bound: list[tuple[int, str]] = []
        depth = 0
        for token in re.findall(r"[(\[]|[)\]]|Σ_\w+", right):
            if token in "([":
                depth += 1
            elif token in ")]":
                depth -= 1
                bound = [(at, name) for at, name in bound if at <= depth]
            else:
                assert token not in [name for at, name in bound if at < depth], right
                bound.append((depth, token))


def test_what_nobody_could_read_is_refused() -> None:
    deep = derive.derivation("-".join(["2", *["2:softmax"] * 20]))
    with pytest.raises(InputError, match=r"expand: written out, the gradients would hold \d+"):
        deep.report(expand=True)
    assert deep.report()
