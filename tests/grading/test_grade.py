"""``gradwright grade`` from outside: reports, hints, JSON, folders, exit status."""

import csv
import json
from pathlib import Path

import pytest
from command_line import run_here
from student_files import STUDENTS

from runtime.errors import InputError
from runtime.grading import grade
from runtime.grading.folder import class_csv, grade_folder
from runtime.grading.report import class_table, verdict_text
from runtime.grading.session import protection_warning
from runtime.grading.verdict import Diagnosis, Judgement, Verdict

WRONG = STUDENTS / "wrong" / "np_two_01.py"
RIGHT = STUDENTS / "right" / "np_01.py"


def test_the_report_of_a_wrong_file_by_hints(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(WRONG.read_bytes())
    outcome = run_here("grade", str(file), "--format", "json", "--hints", "3")
    assert outcome.status == 1, outcome
    report = json.loads(outcome.out)
    assert set(report) == {"ok", "functions", "gradients", "warnings"}
    assert report["ok"] is False
    assert report["functions"]["backward"]["status"] == "wrong"
    (wy,) = report["gradients"]["Wy"]["diagnosis"]
    (wh,) = report["gradients"]["Wh"]["diagnosis"]
    assert set(wy) == {"kind", "message", "certain", "line"}
    assert (wy["kind"], wy["certain"], wy["line"]) == ("missing-mean", True, 53)
    assert (wh["kind"], wh["certain"], wh["line"]) == ("activation-derivative-missing", True, 54)
    assert "Right is dytilde = (yhat − Y)/B." in wy["message"]
    assert "derivative:" in wh["message"]  # the step of the derivation
    hint = run_here("grade", str(file), "--hints", "1").out
    assert "Look at the batch: is it a mean or a sum?\n" in hint
    assert report["gradients"]["Wy"]["relative_error"] > 1


DIAGNOSIS = Diagnosis(
    kind="sign",
    look="Look at the sign.",
    message="It has it wrong (line 3).",
    formula="Right is x.",
    line=3,
)
VERDICT = Verdict(
    name="mine.py",
    functions={
        "forward": Judgement(status="right"),
        "backward": Judgement(status="wrong", summary="Wh's gradient is wrong."),
    },
    gradients={"Wh": Judgement(status="wrong", diagnosis=(DIAGNOSIS,), relative_error=2.0)},
    warnings=("A note.",),
)


@pytest.mark.parametrize(
    ("hints", "shown", "hidden"),
    [
        (0, ["Wh's gradient is wrong."], ["Look at", "line 3", "Right is"]),
        (1, ["Look at the sign."], ["line 3", "Right is"]),
        (2, ["It has it wrong (line 3)."], ["Look at", "Right is"]),
        (3, ["It has it wrong (line 3). Right is x."], ["Look at"]),
    ],
)
def test_hints_decide_how_much_is_told(hints: int, shown: list[str], hidden: list[str]) -> None:
    for text in (verdict_text(VERDICT, hints), json.dumps(VERDICT.to_json(hints))):
        assert all(part in text for part in shown)
        assert not any(part in text for part in hidden)
    told = VERDICT.to_json(hints)["gradients"]["Wh"]["diagnosis"]
    assert [d["kind"] for d in told] == {0: [], 1: [None]}.get(hints, ["sign"])


def test_a_right_file_and_a_file_that_cannot_be_graded(tmp_path: Path) -> None:
    outcome = run_here("grade", str(RIGHT))
    assert outcome.status == 0, outcome
    assert outcome.out.startswith(f"{RIGHT}: all right\n")
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n")
    run_here("grade", str(empty)).assert_refused(2, "defines none of the lab's functions")
    run_here("grade", str(tmp_path / "nowhere.py")).assert_refused(2, "nowhere.py")
    run_here("grade", str(RIGHT), "--csv", "out.csv").assert_refused(2, "is not a folder")


def test_a_class_with_its_table(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    for name, source in (("ann", RIGHT), ("ben", WRONG)):
        (folder / f"{name}.py").write_bytes(source.read_bytes())
    (folder / "eve.py").write_text("def (")
    out = tmp_path / "marks.csv"
    outcome = run_here("grade", str(folder), "--csv", str(out))
    assert outcome.status == 1, outcome
    assert "3 files, 1 all right, 1 could not be graded." in outcome.out
    assert "backward: missing-mean" in outcome.out
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [(row["file"], row["ok"]) for row in rows] == [
        ("ann.py", "yes"),
        ("ben.py", "no"),
        ("eve.py", "no"),  # as in JSON: whoever counts what is right counts alike
    ]
    assert rows[2]["mistake"] == "cannot be graded"
    assert rows[1]["mistake"] == "missing-mean"
    assert rows[1]["line"] == "53"


# how a file that is right but for one line differs, and what its row of a class says of it
UNDIAGNOSED = {
    "missing.py": ("def sgd(", "def step(", ("not-defined", "", "sgd is not defined.")),
    "unwritten.py": (
        "dytilde.sum(axis=0).reshape(-1, 1)",
        "None",
        ("not-written", "61", "by's gradient is None: it is not written yet."),
    ),
    "zeros.py": (
        "np.random.randn(nh, nx) * 0.3",
        "np.zeros((nh, nx))",
        ("equal-weights", "12", 'All entries of params["Wh"] are 0 (line 12): the hidden units'),
    ),
    "raises.py": (
        "    dytilde = ",
        "    dytilde = Ytrue - ",
        ("NameError", "56", "backward raises NameError: name 'Ytrue' is not defined (line 56)."),
    ),
    "endless.py": (
        "    dytilde = ",
        "    while True:\n        pass\n    dytilde = ",
        ("unfinished", "", "backward did not end in time."),
    ),
    "nothing.py": (
        "    return grads",
        "    grads",
        ("wrong-return", "52", "backward must return a dictionary with a gradient for each"),
    ),
}


def test_a_class_is_told_why_where_no_change_of_a_formula_says_it(tmp_path: Path) -> None:
    text = RIGHT.read_text()
    for name, (old, new, _) in UNDIAGNOSED.items():
        assert text.count(old) == 1, (name, old)
        (tmp_path / name).write_text(text.replace(old, new))
    verdicts = grade_folder([tmp_path / name for name in sorted(UNDIAGNOSED)], timeout=5)
    rows = {row["file"]: row for row in csv.DictReader(class_csv(verdicts).splitlines())}
    table = class_table(verdicts)
    for name, (_, _, (kind, line, message)) in UNDIAGNOSED.items():
        row = rows[name]
        assert (row["mistake"], row["line"]) == (kind, line)
        assert row["message"].startswith(message)
        assert f"; {message}" in table
    for counted in ("sgd: not-defined", "init_params: equal-weights", "backward: NameError"):
        assert f"     1  {counted}\n" in f"{table}\n"
    assert "is None" not in class_csv(verdicts, hints=1) + class_table(verdicts, hints=1)


def test_what_is_written_is_told_before_what_is_missing() -> None:
    functions = {
        "forward": Judgement(status="missing", summary="No forward.", kind="not-defined"),
        "backward": VERDICT.functions["backward"],
    }
    verdict = Verdict(name="mine.py", functions=functions, gradients=VERDICT.gradients)
    (row,) = csv.DictReader(class_csv([("mine.py", verdict)]).splitlines())
    assert (row["mistake"], row["line"], row["message"]) == ("sign", "3", DIAGNOSIS.message)
    table = class_table([("mine.py", verdict)])
    assert "     1  forward: not-defined" in table.splitlines()


def test_a_table_cannot_start_a_formula() -> None:
    text = class_csv([("=cmd.py", "broken")])
    assert "'=cmd.py" in text
    assert (
        class_table([("mine.py", VERDICT)], hints=0).splitlines()[0].endswith("backward wrong (Wh)")
    )


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_there_must_be_time_to_run_a_file_in(timeout: float, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def sgd(params, grads, eta):\n    return params\n")
    with pytest.raises(InputError, match=r"timeout: .* Expected a number of seconds"):
        grade(file, timeout=timeout)


def test_no_file_is_no_folder(tmp_path: Path) -> None:
    run_here("grade", str(tmp_path)).assert_refused(2, "holds no .py file")
    assert grade_folder([], timeout=1) == []


@pytest.mark.parametrize(
    ("missing", "refused", "told"),
    [
        (None, True, None),
        (None, False, "does not filter what the file's process asks"),
        ("unshare: no", True, "change no file, but read what you can read"),
        ("unshare: no", False, "Grade only files that you trust"),
    ],
)
def test_what_protection_a_system_lacks_is_warned_of(
    missing: str | None, refused: bool, told: str | None
) -> None:
    warning = protection_warning(missing, refused)
    assert warning is None if told is None else told in str(warning)


# how a file that is right but for one line differs, and the words that name it
CHANGED = [
    ('np.exp(outputs["ytilde"])', 'np.exp(-outputs["ytilde"])', "ytilde has the wrong sign"),
    ("np.log(Yhat)", "np.log(np.exp(Yhat) / np.exp(Yhat).sum(1)[:, None])", "softmax(yhat) stands"),
    ("np.log(Yhat)", "np.arcsinh(Yhat + 0.3)", "All that is known: for 5 sets of inputs"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), CHANGED)
def test_a_function_that_is_wrong_is_explained_or_what_is_known_is_told(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    text = RIGHT.read_text("utf-8")
    assert right in text
    file = tmp_path / "mine.py"
    file.write_text(text.replace(right, wrong), "utf-8")
    assert told in verdict_text(grade(file), 2)


def test_a_file_that_keeps_its_input_in_float32_is_right(tmp_path: Path) -> None:
    text = RIGHT.read_text("utf-8")
    assert 'outputs["X"] = X\n' in text
    file = tmp_path / "mine.py"
    file.write_text(
        text.replace('outputs["X"] = X\n', 'outputs["X"] = X = np.float32(X)\n'), "utf-8"
    )
    verdict = grade(file)
    assert verdict.ok, verdict_text(verdict, 3)
    assert any("digits of float32" in warning for warning in verdict.warnings)


RIGHT_FILE = (STUDENTS / "right" / "s3_09.py").read_text("utf-8")
MISTAKES = {
    "complement": (
        "np.log(p[t.argmax()])",
        "np.log(1 - p[t.argmax()])",
        "In the loss, 1 − yhat stands where yhat belongs",
    ),
    "accuracy of values": (
        "p.argmax() == t.argmax()",
        "p.argmax() == t.max()",
        "compares the places of the largest entries of Yhat with the largest entries of Y",
    ),
    "function below": (
        "np.exp(S[-1]).sum(1, keepdims=True)",
        "S[-1].sum(1, keepdims=True)",
        "In yhat, exp is missing below the fraction line",
    ),
    "function everywhere": (
        "np.exp(S[-1]) / np.exp(S[-1]).sum(1, keepdims=True)",
        "S[-1] / S[-1].sum(1, keepdims=True)",
        "In yhat, exp is missing.",
    ),
    "step alone": (
        "params[k] - eta * grads[k]",
        "eta * grads[k]",
        "In the step of Wh, bh, Wy and by, the parameter itself is missing",
    ),
    "bias not made": ('    params["by"] = np.zeros((ny, 1))\n', "", 'params["by"] is missing.'),
    "velocity": (
        "def sgd(params, grads, eta):\n    for k in grads:\n",
        "v = {}\n\ndef sgd(params, grads, eta):\n    for k in grads:\n"
        "        grads[k] = v[k] = 0.9 * v.get(k, 0) + grads[k]\n",
        "Only the first call of sgd is right",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_said_of_a_mistake(name: str, tmp_path: Path) -> None:
    right, wrong, told = MISTAKES[name]
    file = tmp_path / "mine.py"
    assert RIGHT_FILE.count(right) == 1
    file.write_text(RIGHT_FILE.replace(right, wrong), "utf-8")
    verdict = grade(file)
    assert told in verdict_text(verdict)
    bad = [n for n, judgement in verdict.functions.items() if judgement.status != "right"]
    assert len(bad) == 1
