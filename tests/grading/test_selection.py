"""Which statements of a student's file are run."""

from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.grading.selection import has_part_2, select
from runtime.grading.source import assignments, parameter_keys, read_source

FILE = """\
import numpy as np
import matplotlib.pyplot as plt
from nowhere import *
%matplotlib inline
eps = 1e-12
Nbatch, other = 10, 3
rng = np.random.default_rng(0)
data = CirclesData()
nx = data.Xtrain.shape[1]
table = np.loadtxt("answers.txt")

def helper(x):
    return np.log(x + eps)

def unused():
    return plt

def backward(params, outputs, Y):
    grads = {"Wh": helper(Y) / Nbatch + rng.normal() + nx}
    grads["Wy"] = params["Wy"]
    return grads

for i in range(10):
    backward({}, {}, i)
print("done")
"""


def read(folder: Path, text: str, name: str = "mine.py"):
    (folder / name).write_text(text, "utf-8")
    return read_source(folder / name)


def test_only_what_the_functions_need_is_run(tmp_path: Path) -> None:
    source = read(tmp_path, FILE)
    selection = select(source)
    lines = [source.tree.body[number].lineno for number in selection.statements]
    assert lines == [1, 3, 5, 6, 7, 12, 18]
    assert selection.left_out == {"nx": 9}
    assert list(selection.functions) == ["backward"]
    assert not selection.uses_torch


OWN = """\
import numpy as np
KEYS = "Wh bh".split()
SLOPES = {"tanh": lambda a: 1 - a * a}
class Layer:
    def __init__(self, key): self.key = key
def keyed(key): return Layer(key)
LAYERS = [keyed(key) for key in KEYS if key != ""]
rng = np.random.default_rng(0)
START = rng.normal(size=3)
def steps(n): return [sgd({}, {}, n)]
def train(n): return steps(n)
TRAINED = train(3)
def sgd(params, grads, eta):
    return [layer.key for layer in LAYERS], SLOPES, START, TRAINED
"""


def test_own_classes_and_functions_make_constants_but_do_not_train(tmp_path: Path) -> None:
    source = read(tmp_path, OWN)
    selection = select(source)
    lines = [source.tree.body[number].lineno for number in selection.statements]
    assert lines == [1, 2, 3, 4, 6, 7, 8, 9, 13]
    assert selection.left_out == {"TRAINED": 12}


def test_assignments_come_with_their_lines(tmp_path: Path) -> None:
    source = read(tmp_path, FILE)
    found = list(assignments(select(source).functions["backward"]))
    assert sorted(found) == [('"Wh"', 19), ('"Wy"', 20), ("grads", 19)]
    assert parameter_keys(source) == ["Wy"]


def test_the_last_definition_counts_and_part_1_ends_where_part_2_begins(tmp_path: Path) -> None:
    signatures = ("backward(p, o, Y)", "sgd(p, g, eta)", "backward(p, o, Y)")
    signatures += ("init_params(a, b, c)", "sgd(p, eta)")
    text = "".join(f"def {signature}: return 0\n" for signature in signatures)
    source = read(tmp_path, text)
    assert has_part_2(source)
    assert select(source).statements == (1, 2)
    assert select(source, part=2).statements == (3, 4)


def test_a_notebook_tells_its_cells(tmp_path: Path) -> None:
    cells = '{"cells": [{"cell_type": "markdown", "source": ["x"]}, '
    cells += '{"cell_type": "code", "source": ["!ls\\n", "def sgd(p, g, eta):\\n", "  return p"]}]}'
    source = read(tmp_path, cells, "mine.ipynb")
    function = select(source).functions["sgd"]
    assert source.place(function.lineno) == "cell 2, line 2"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = (", "line 1: not Python"),
        ("def f(:\n  pass", "line 1: not Python"),
        ("x = " + "(" * 5000, "not Python"),
        ("x = '\0'", "not Python"),
    ],
)
def test_what_is_not_python_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(tmp_path, text)


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a notebook"):
        read(tmp_path, "[1, 2]", "mine.ipynb")
