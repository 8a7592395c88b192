"""Grade a student's file of the lab, and say what each mistake is.

    verdict = runtime.grading.grade("mine.py")

A file goes through these, each a module: `source` reads it and `selection` says which of its
statements are run; `session` starts the process (`child`, `isolation`, `wire`), `interview`
asks it everything, and only when it has ended the `judge_…` modules compute what is right
(`reference`) and compare. What is wrong is explained by `search` over `edits` of the right
formulas, told by `wording`, and put in its place by `evidence`.

What the process model protects against: a file that prints, exits, hangs, fills memory or
disk, changes NumPy or returns objects that lie changes no verdict, since only numbers leave its
process, and what they are compared with exists elsewhere and later.

On Linux (x86-64 and 64-bit ARM) the kernel refuses it new processes, signals, looking into other
processes, lifting its limits, and sockets (`system_calls`); without namespaces, changes of files as
well. Where the system has private namespaces (`isolation`), it also sees no other process, no
network, and neither this project nor the folder it lies in, can write nowhere, and leaves nothing
running. What is missing of the two is warned of. With neither, as on macOS, a file can do
whatever its user can: limits on time and memory are then all that holds it.

What it does not protect against: without namespaces the file can read what its user can. In any
case it can compute the right gradients by other means than the student's own thinking, find that
it is being graded and behave, or hide that a function changes its arguments. It is no barrier
against holes in the kernel: grade files of strangers in a virtual machine.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.grading.grader import grade

__all__ = ["grade"]


def __getattr__(name: str) -> Any:
    if name != "grade":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runtime.grading.grader import grade

    return grade
