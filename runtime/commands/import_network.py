"""``gradwright import``: a dense network from an ONNX file, as the folder of a run."""

import click

from runtime.commands.completing import files, folders, loss

EPILOG = """\b
Examples:
  gradwright import net.onnx
  gradwright import net.onnx --out runs/theirs
  gradwright predict runs/theirs new.csv

\b
The file must be one chain of dense layers: Gemm, or MatMul and Add, with the
activations of gradwright derive, perhaps behind Sub and Div that scale the
inputs. It is read, never run. The weights are taken as they are.
Needs onnx: pip install 'gradwright[onnx]'.
"""


@click.command("import", epilog=EPILOG)
@click.argument("file", shell_complete=files)
@click.option(
    "--out", metavar="DIR", shell_complete=folders, help="Folder to write to. [runs/NAME]"
)
@click.option("--overwrite", is_flag=True, help="Replace the run that the folder holds.")
@click.option(
    "--loss",
    metavar="NAME|FORMULA",
    shell_complete=loss,
    help="What evaluate measures. [that of the file, or what goes with its output]",
)
def command(file: str, *, out: str | None, overwrite: bool, loss: str | None) -> int:
    """Read a dense network from an ONNX file, for predict, evaluate and export."""
    from runtime.files import shown
    from runtime.onnx_reading import import_onnx

    portable = import_onnx(file, loss=loss)
    folder = portable.save(out, overwrite=overwrite)
    click.echo(f"{portable.network} {portable.network.loss} in {shown(folder)}")
    return 0
