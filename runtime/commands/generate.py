"""``gradwright generate``: a network as one module, to be imported, run or read."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from runtime.commands.completing import files, network, one_of
from runtime.commands.objective import objective_options, reader
from runtime.commands.optimizer import method_option, schedule_option
from runtime.table_text import aligned

if TYPE_CHECKING:
    from codegen.kernel import KernelProgram
    from codegen.passes.run import PassReport

TARGETS = ("numba", "numpy", "c")

EPILOG = """\b
Examples:
  gradwright generate 2-10-2 -o circles_net.py
  python circles_net.py                          # checks itself
  gradwright generate 784-100:relu-10 --dtype float64 -o mnist_net.py
  gradwright generate 2-10-2 --names lab -o lab.py
  gradwright generate 8-32-1 --loss mse --explain > net.py
  gradwright generate 2-10-2 --hvp -o net.py     # with Hessian times a direction
  gradwright generate 2-10-2 --target numpy      # to be read; NumPy is all it needs
  gradwright generate 2-10-2 --target c -o net.c # C99: net.c and net.h
  cc -std=c99 -O3 -march=native -DNET_MAIN net.c -lm && ./a.out
  gradwright generate 2-10-2 --optimizer adam --schedule cosine -o net.py
  gradwright generate 2-10-2 --optimizer adam --target c -o net.c

\b
SPEC holds the sizes from input to output, with an optional :activation after
a layer's size. Hidden layers are tanh unless written; the output follows the
loss, softmax for cross-entropy. Every size must be a number.

\b
The module needs NumPy, and for the target numba Numba (SciPy and threadpoolctl
too in larger networks), but nothing of gradwright. --target numpy is the same
module in plain NumPy, a line for each statement of the derivation. --target c
needs a C compiler: FILE.c and FILE.h hold NAME_forward, NAME_loss_and_gradients
and NAME_train, NAME being the file's name without .c; where the network takes
two numbers, -DNAME_MAIN adds a programme that trains Circles.

\b
With --names lab the module holds
the functions of the lab, init_params, forward, loss_accuracy, backward and
sgd, in plain NumPy that is made to be read; they take NumPy arrays and
PyTorch tensors.
"""


@click.command("generate", epilog=EPILOG)
@click.argument("spec", shell_complete=network)
@click.option(
    "-o",
    "output",
    metavar="FILE",
    shell_complete=files,
    default="-",
    help="Write to FILE, which is replaced, in place of standard output. With --target c, "
    "FILE.c, and FILE.h beside it.",
)
@click.option(
    "--target",
    metavar="|".join(TARGETS),
    shell_complete=one_of(*TARGETS),
    default="numba",
    show_default=True,
    help="numba: compiled kernels; numpy: the same to be read; c: C99 and a header.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of all arrays; with --names lab, of the parameters that init_params makes.",
)
@click.option(
    "--names",
    type=click.Choice(["plain", "lab"]),
    default="plain",
    show_default=True,
    help="lab: the lab's functions, with Wh bh htilde h Wy by ytilde yhat and biases (n, 1).",
)
@objective_options
@method_option(
    None,
    "What train does, with its numbers as keywords (in C, in a structure). Without it: SGD and "
    "nothing else, the fastest.",
)
@click.option(
    "--clip-norm",
    is_flag=True,
    help="train clips the gradient of all parameters by its norm: keyword clip_norm.",
)
@schedule_option
@click.option("--hvp", is_flag=True, help="Add hvp: the Hessian times a direction.")
@click.option("--explain", is_flag=True, help="Print what each pass did to each kernel.")
def command(
    spec: str,
    *,
    output: str,
    target: str,
    dtype: str,
    names: str,
    loss: str | None,
    define: tuple[str, ...],
    l2: float | None,
    labels: str,
    optimizer: str | None,
    clip_norm: bool,
    schedule: str,
    hvp: bool,
    explain: bool,
) -> None:
    """Generate one module that computes and trains network SPEC.

    With --explain, what each pass did is printed with counts before and after: on standard
    output, or on standard error where the module itself goes to standard output.
    """
    _check_target(target)
    # imported here because they load SymPy, for which `gradwright --help` must not wait
    from codegen.generation import generate

    network = reader(loss, define, l2)(spec)
    prefix = _prefix(output) if target == "c" else ""
    source = generate(
        network,
        target=target,
        prefix=prefix,
        dtype=dtype,
        labels=labels,
        names=names,
        hvp=hvp,
        optimizer=optimizer,
        clip_norm=clip_norm,
        schedule=schedule,
    )
    if source.header is not None:
        _write_both(output, source.text, source.header)
    elif output == "-":
        click.echo(source.text.encode(), nl=False)  # Python source is UTF-8, whatever the locale
    else:
        from runtime.files import shown, write_atomically

        write_atomically(output, source.text)
        click.echo(f"{shown(output)} is written", err=True)
    if explain:
        told = explanation(source.reports)
        if "step" in source.programs:
            told += explained_products(source.programs["step"], network.sizes)
        click.echo(told, err=output == "-", nl=False)


def explanation(reports: "Mapping[str, Sequence[PassReport]]") -> str:
    """Return a table of what each pass did, by kernel, and what each pass is for.

    Parameters
    ----------
    reports
        As `codegen.GeneratedSource` holds them; none for a module that no pass has seen.
    """
    if not reports:
        return "No pass has run: plain NumPy is as it was derived, line by line.\n"
    head = ("kernel", "pass", "nodes", "buffers", "operations", "functions", "bytes", "memory")
    rows: list[Sequence[str]] = [head]
    for kernel, passes in reports.items():
        for number, report in enumerate(passes):
            before, after = report.costs
            kinds = [report.nodes, report.buffers]
            kinds += [(before.operations, after.operations), (before.functions, after.functions)]
            kinds += [(before.bytes, after.bytes), report.memory]
            counts = [f"{a:,} -> {b:,}" if a != b else f"{b:,}" for a, b in kinds]
            rows.append([kernel if number == 0 else "", report.name, *counts])
    lines = aligned(rows)
    lines += [
        "",
        "Nodes are products, loops and sums; buffers are what they write. For a batch of 100",
        "samples: operations of arithmetic (a multiply-add is two), evaluations of elementary",
        "functions, bytes that the nodes read and write, each by itself, and bytes of the memory",
        "in which their work lies. Where one number stands, the pass left it as it was. After",
        "each pass the programme was checked, and computed in NumPy: its results are the same.",
        "",
    ]
    purposes = _purposes({report.name for passes in reports.values() for report in passes})
    width = max(map(len, purposes))
    lines += [f"{name:<{width}}  {purpose}" for name, purpose in purposes.items()]
    return "\n".join(lines) + "\n"


def explained_products(step: "KernelProgram", sizes: "Sequence[int | str]") -> str:
    """Return a table of the products of a step: how each is computed, and what the model says.

    It is empty for a network of vectors, which is one kernel.
    """
    from codegen.emit.tiles import tile_rows
    from codegen.passes.run import COUNTED
    from codegen.product_choice import product_choices
    from codegen.product_cost import AVX512, WAYS

    rows_of_tile = tile_rows(tuple(map(int, sizes)))
    choices = product_choices(step, COUNTED, tile_rows=rows_of_tile)
    if not choices:
        return ""
    rows: list[Sequence[str]] = [("product of a step", "rows x columns x terms", *WAYS, "chosen")]
    for choice in choices:
        product = choice.product
        extents = f"{product.rows} x {product.columns} x {product.summed}"
        times = [f"{1e-3 * choice.predicted[way]:,.2f} µs" for way in WAYS]
        rows.append((choice.name, extents, *times, choice.chosen))
    lines = ["", *aligned(rows), ""]
    lines += [
        f"Predicted for {COUNTED} samples and one thread by codegen/product_cost.py, a model of:",
        f"{AVX512.name}.",
        "own: tiles of our own in training, and BLAS elsewhere or where the processor has no",
        "registers of 512 bits; loops: plain loops, chosen where they are better for any batch.",
        "gradwright bench SPEC --products measures all three here.",
    ]
    return "\n".join(lines) + "\n"


def _purposes(ran: set[str]) -> dict[str, str]:
    """Return what each pass that ran is for: the first line of its module."""
    import sys

    from codegen.passes import PIPELINE

    found = {}
    for step in PIPELINE:
        described = sys.modules[step.__module__].__doc__ or ""
        if step.__name__ in ran:
            found[step.__name__] = described.partition("\n")[0]
    return found


def _prefix(output: str) -> str:
    """Return what the names in a C file begin with."""
    from pathlib import Path

    from runtime.errors import InputError

    path = Path(output)
    if output == "-" or path.suffix != ".c":
        given = "" if output == "-" else f", and {output} does not end in .c"
        raise InputError(
            f"--target c writes two files, FILE.c and FILE.h{given}. "
            "Name the first one: for example -o net.c."
        )
    return path.stem


def _write_both(output: str, text: str, header: str) -> None:
    """Write a C file and its header; both are whole before either is put in place."""
    from pathlib import Path

    from runtime.files import replacing, shown

    path = Path(output)
    beside = path.with_suffix(".h")
    with replacing(path) as source_file, replacing(beside) as header_file:
        source_file.write_bytes(text.encode())
        header_file.write_bytes(header.encode())
    click.echo(f"{shown(path)} and {shown(beside)} are written", err=True)


def _check_target(target: str) -> None:
    if target in TARGETS:
        return
    from runtime.errors import InputError

    raise InputError(f'--target: "{target}" is not available. Available: {", ".join(TARGETS)}.')
