"""The Python interface: one call, a frozen result, every format."""

import dataclasses
import doctest
import importlib
import json
import pkgutil

import numpy as np
import pytest
import sympy
from oracles import draw_case

import derive
from derive.writers import FORMATS

LAB = derive.derivation("2-10-2")


def modules() -> list[str]:
    found = pkgutil.walk_packages(derive.__path__, "derive.")
    return [info.name for info in found]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_are_right(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_the_interface_has_examples() -> None:
    finder = doctest.DocTestFinder()
    for thing in (derive.derivation, derive.Program.evaluate, derive.Statement.to_sympy):
        assert any(test.examples for test in finder.find(thing, globs={}))


def test_results_are_frozen() -> None:
    for result in (LAB, LAB.program, LAB.program.statements[0], LAB.program.steps[0], LAB.spec):
        name = dataclasses.fields(result)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, name, None)


def test_each_format_is_there() -> None:
    beginnings = {
        "text": "Network 2-10-2",
        "latex": "\\documentclass",
        "markdown": "# Network 2-10-2",
        "html": "<!DOCTYPE html>",
        "json": "{\n",
    }
    assert list(beginnings) == list(FORMATS)
    for name, beginning in beginnings.items():
        text = LAB.report(name)
        assert text.startswith(beginning)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert LAB.report(name) == text
    assert str(LAB) + "\n" == LAB.report()


def test_expand_adds_a_section_to_each_format() -> None:
    for name in FORMATS:
        assert len(LAB.report(name, expand=True)) > len(LAB.report(name))
    expanded = json.loads(LAB.report("json", expand=True))["expanded"]
    assert [entry["name"] for entry in expanded] == ["dW1", "db1", "dW2", "db2"]
    assert expanded[0]["matrix"] == "dW1 = ((((P − Y)/B) W2) ∘ (1 − H1 ∘ H1))ᵀ X"
    assert expanded[0]["index"].startswith("dW1[j,k] = Σ_i (Σ_m")
    assert "expanded" not in json.loads(LAB.report("json"))


@pytest.mark.parametrize(
    "options", [{"names": "short"}, {"labels": "two-hot"}, {"loss": "huge"}], ids=str
)
def test_what_is_not_known_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(derive.InputError, match=next(iter(options.values()))):
        derive.derivation("2-10-2", **options)


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(derive.InputError, match=r'format: "pdf" is not known\. Known: text, latex'):
        LAB.report("pdf")


def test_a_specification_is_taken_as_it_is() -> None:
    spec = derive.parse_spec("2-3-2", loss="mse")
    assert derive.derivation(spec).spec is spec
    assert "mse" in str(derive.derivation(spec))


def test_equations_hold_for_the_values() -> None:
    case = draw_case(derive.parse_spec("3-4-2"), 5, 0)
    given = derive.derivation("3-4-2")
    results = given.evaluate(case.values())
    equations = given.to_sympy()
    assert list(equations) == list(results)
    known = case.values() | results
    equation = equations["dZ1"]
    i, j = equation.lhs.indices
    reads = {read: known[read.base.name] for read in equation.rhs.atoms(sympy.Indexed)}
    values = {read: array[2, 1] for read, array in reads.items()}
    assert float(equation.rhs.xreplace(values)) == pytest.approx(results["dZ1"][2, 1])
    assert (i.name, j.name) == ("i", "j")
    assert all(isinstance(equation, sympy.Eq) for equation in equations.values())


def test_evaluation_refuses_what_the_derivation_does_not_hold_for() -> None:
    values = draw_case(derive.parse_spec("3-4-2"), 5, 0).values()
    values["Y"] = 3 * values["Y"]
    with pytest.raises(derive.InputError, match=r'Y\[0\] sums to 3\..*labels="any"'):
        derive.derivation("3-4-2").evaluate(values)
    results = derive.derivation("3-4-2", labels="any").evaluate(values)
    moved = values | {"b2": values["b2"] + np.array([1e-6, 0])}
    change = derive.derivation("3-4-2", labels="any").evaluate(moved)["loss"] - results["loss"]
    assert results["db2"][0] == pytest.approx(change / 1e-6, rel=1e-4)


def test_evaluation_takes_a_type() -> None:
    case = draw_case(derive.parse_spec("3-4-2"), 5, 0)
    results = derive.derivation("3-4-2").evaluate(case.values(), dtype="float32")
    assert {array.dtype for array in results.values()} == {np.dtype("float32")}


def test_notebooks_show_formulas() -> None:
    assert LAB._repr_latex_().startswith("$$\\begin{aligned}")
    assert LAB.program.statement("dW2")._repr_latex_() == (
        r"$$\mathrm{d}W_{2} = \mathrm{d}Z_{2}^{\top} H_{1}$$"
    )
