"""``run.json``: written sorted, read strictly."""

import json
import math
import os
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from runtime.errors import InputError, InternalError
from runtime.run_record import DataRecord, RunRecord, platform_facts, versions

RECORD = RunRecord(
    spec="2-10-2",
    loss="cross-entropy",
    settings={"epochs": 150, "batch": 10, "eta": 0.03, "dtype": "float32", "threads": None},
    seeds={"seed": 0, "data_seed": 0},
    data=DataRecord(name="circles", sha256={"X_train": "ab" * 32}, classes=("outer", "inner")),
    results={"test_accuracy": 0.955, "test_loss": 0.1234, "epochs": 150},
    versions=versions(),
    platform=platform_facts(),
)
TEXT = RECORD.to_json()


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(TEXT) | changes)


def test_comes_back_as_it_was() -> None:
    assert RunRecord.from_json(TEXT) == RECORD
    assert RunRecord.from_json(TEXT).to_json() == TEXT


def test_is_sorted_and_indented_and_ends_in_a_newline() -> None:
    content = json.loads(TEXT)
    assert list(content) == sorted(content)
    assert json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False) + "\n" == TEXT


def test_order_of_keys_does_not_matter() -> None:
    other = RunRecord.from_json(json.dumps(dict(reversed(json.loads(TEXT).items()))))
    assert other.to_json() == TEXT


def test_figures_that_are_not_finite_become_null() -> None:
    record = RunRecord.from_json(TEXT)
    diverged = {"test_loss": math.nan, "train_loss": math.inf, "epochs": 3}
    record = RunRecord(
        **{name: getattr(record, name) for name in RunRecord.__slots__} | {"results": diverged}
    )
    results = json.loads(record.to_json())["results"]
    assert results == {"test_loss": None, "train_loss": None, "epochs": 3}
    assert RunRecord.from_json(record.to_json()).results == results


@pytest.mark.parametrize("value", [math.nan, {1, 2}, b"bytes"])
def test_setting_that_json_cannot_hold_is_our_own_mistake(value: object) -> None:
    fields = {name: getattr(RECORD, name) for name in RunRecord.__slots__}
    with pytest.raises(InternalError):
        RunRecord(**fields | {"settings": {"eta": value}}).to_json()


def test_labels_keep_their_type() -> None:
    data = {"name": "a.csv", "sha256": {}, "classes": [3, "3", "three", "drei ä"]}
    assert RunRecord.from_json(changed(data=data)).data.classes == (3, "3", "three", "drei ä")


def test_how_data_were_loaded_comes_back() -> None:
    options = {"source": "a.csv", "label": "kind", "scale": "minmax", "test_fraction": 0.25}
    data = {"name": "a", "sha256": {}, "classes": [], "options": {**options, "columns": ["x", "y"]}}
    record = RunRecord.from_json(changed(data=data))
    assert record.data.options == {**options, "columns": ("x", "y")}
    assert RunRecord.from_json(record.to_json()) == record


REFUSED = {
    "unknown option of data": (
        changed(data={"name": "a", "sha256": {}, "classes": [], "options": {"path": "b"}}),
        '"data.options.path" is not known',
    ),
    "option of data of wrong type": (
        changed(data={"name": "a", "sha256": {}, "classes": [], "options": {"scale": 1}}),
        '"data.options.scale" is 1, expected text',
    ),
    "empty": ("", "line 1, column 1: not JSON"),
    "cut short": (TEXT[:-20], "not JSON"),
    "list": ("[]", "expected an object"),
    "deep": ("[" * 100_000, "not a run record"),
    "long number": ('{"format": ' + "9" * 10_000 + "}", "not a run record"),
    "NaN": (changed(results={"a": math.nan}), "NaN is not a finite number"),
    "overflow": (
        changed(results={"a": 0}).replace('"a": 0', '"a": 1e999'),
        "1e999 is not a finite",
    ),
    "key twice": ('{"format": 1, "format": 1}', '"format" stands there twice'),
    "newer": (changed(format=2), "written in format 2, and this version reads format 1"),
    "format as text": (changed(format="1"), '"format" is "1", expected an integer'),
    "format as bool": (changed(format=True), '"format" is true, expected an integer'),
    "unknown key": (changed(note="hello"), '"note" is not known'),
    "spec of wrong type": (changed(spec=3), '"spec" is 3, expected text'),
    "settings of wrong type": (changed(settings=[1]), '"settings" is [1], expected an object'),
    "seed of wrong type": (
        changed(seeds={"seed": 0.5}),
        '"seeds.seed" is 0.5, expected an integer',
    ),
    "seed as bool": (changed(seeds={"seed": True}), '"seeds.seed" is true, expected an integer'),
    "result of wrong type": (
        changed(results={"loss": [1]}),
        '"results.loss" is [1], expected a number or an integer or text or null',
    ),
    "label of wrong type": (
        changed(data={"name": "a", "sha256": {}, "classes": [0.5]}),
        '"data.classes" is 0.5, expected an integer or text',
    ),
    "unknown key in data": (
        changed(data={"name": "a", "sha256": {}, "classes": [], "path": "b"}),
        '"data.path" is not known',
    ),
    "long value": (changed(spec=["a" * 100]), '"spec" is ["aaaa'),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        RunRecord.from_json(text, "runs/a/run.json")
    message = str(refusal.value)
    assert message.startswith("runs/a/run.json")
    assert reason in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize("key", sorted(json.loads(TEXT)))
def test_missing_key_is_named(key: str) -> None:
    content = json.loads(TEXT)
    del content[key]
    with pytest.raises(InputError, match=f'"{key}" is missing'):
        RunRecord.from_json(json.dumps(content))


def test_versions_are_those_installed() -> None:
    found = versions()
    assert list(found) == sorted(found)
    assert found["numpy"] == version("numpy")
    assert found["sympy"] == version("sympy")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "gradwright" in found


def test_asking_for_versions_imports_nothing() -> None:
    code = (
        "import sys; from runtime.run_record import versions; versions()\n"
        "print(*{'numba', 'sympy', 'torch', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == []


def test_platform_facts_do_not_name_the_machine() -> None:
    facts = platform_facts()
    assert set(facts) == {"system", "release", "machine", "cpu", "cores"}
    assert os.uname().nodename not in facts.values()
    assert isinstance(facts["cores"], int)
    assert 1 <= facts["cores"] <= (os.cpu_count() or 1)
