"""``gradwright grade``: what is wrong with a student's file, and why."""

import click

from runtime.commands.completing import files

EPILOG = """\b
Examples:
  gradwright grade mine.py
  gradwright grade mine.ipynb --hints 3
  gradwright grade mine.py --hints 0 --format json
  gradwright grade class/ --csv marks.csv

\b
PATH is a .py file or a notebook in the lab's form: init_params, forward,
loss_accuracy, backward and sgd, for NumPy or PyTorch, with any number of hidden
layers. Only its imports, constants and definitions are run, in a process of
their own. Without backward, and with an sgd of two arguments, it is the lab's
Part 2, whose gradients are autograd's. A folder is graded file by file.

\b
Exit status: 0 all right, 1 something is wrong, 2 it cannot be graded.
"""


@click.command("grade", epilog=EPILOG)
@click.argument("path", metavar="PATH", shell_complete=files)
@click.option(
    "--hints",
    type=click.IntRange(0, 3),
    default=2,
    show_default=True,
    help="How much is told: 0 which gradients are wrong, 1 where to look, 2 the mistake and its "
    "line, 3 the right formula and the step of its derivation as well.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.5, 3600),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Seconds for all runs of one file together.",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    shell_complete=files,
    help="Of a folder: write a line for each file.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A report to read, or JSON; of a folder, JSON by file.",
)
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    hints: int,
    timeout: float,
    csv_file: str | None,
    format_: str,
) -> None:
    """Grade a file in the lab's form, or a folder of them, and say what the mistakes are."""
    import json
    from pathlib import Path

    # imported here: it loads NumPy and more, for which --help must not wait
    from runtime.errors import InputError

    if Path(path).is_dir():
        ctx.exit(_grade_folder(Path(path), hints, timeout, csv_file, format_))
    if csv_file is not None:
        raise InputError(f"--csv: {path} is not a folder. Give a folder of files, or leave it out.")
    import gc

    from runtime.grading.report import verdict_text

    gc.disable()  # SymPy makes objects by the hundred thousand, and nearly all are kept
    try:
        from runtime.grading.grader import grade

        verdict = grade(path, timeout=timeout)
    finally:
        gc.enable()
    if format_ == "json":
        click.echo(json.dumps(verdict.to_json(hints), indent=2, allow_nan=False))
    else:
        click.echo(verdict_text(verdict, hints))
    if not verdict.ok:
        ctx.exit(1)


def _grade_folder(
    folder: object, hints: int, timeout: float, csv_file: str | None, format_: str
) -> int:
    import json
    from pathlib import Path

    from runtime.files import ensure_writable_folder, write_atomically
    from runtime.grading.folder import class_csv, files_of, grade_folder
    from runtime.grading.report import class_table
    from runtime.grading.verdict import Verdict
    from runtime.messages import is_live, say

    files = files_of(Path(str(folder)))
    if csv_file is not None:
        ensure_writable_folder(Path(csv_file).absolute().parent)  # told before the work
    done = 0

    def each(name: str) -> None:
        nonlocal done
        done += 1
        if is_live() and done % 10 == 0:
            say(f"{done} of {len(files)} files ({name})")

    verdicts = grade_folder(files, timeout=timeout, each=each)
    if csv_file is not None:
        write_atomically(csv_file, class_csv(verdicts, hints), work_began=True)
    if format_ == "json":
        table = {
            name: v.to_json(hints) if isinstance(v, Verdict) else {"ok": False, "error": v}
            for name, v in verdicts
        }
        click.echo(json.dumps(table, indent=2, allow_nan=False))
    else:
        click.echo(class_table(verdicts, hints))
    return 0 if all(isinstance(v, Verdict) and v.ok for _, v in verdicts) else 1
