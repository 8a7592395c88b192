"""``gradwright export``: a trained network as an ONNX file."""

import click

from runtime.commands.completing import files

EPILOG = """\b
Examples:
  gradwright export runs/circles -o circles.onnx
  gradwright export runs/iris/model.safetensors -o iris.onnx

\b
The input is X (B, n0), the output P (B, nL); weights are W1, W2, ... as they are
in model.safetensors. Inputs that --scale scaled are scaled in the file too.
Needs onnx: pip install 'gradwright[onnx]'.
"""


@click.command("export", epilog=EPILOG)
@click.argument("model", shell_complete=files)
@click.option(
    "-o",
    "--output",
    metavar="FILE.onnx",
    required=True,
    shell_complete=files,
    help="Write to FILE, which is replaced.",
)
def command(model: str, *, output: str) -> int:
    """Write a trained network as an ONNX file, for onnxruntime and others.

    MODEL is the folder of a run, as gradwright train made it, or the model.safetensors in it.
    """
    from runtime.messages import say
    from runtime.onnx_writing import export_onnx
    from runtime.portable import PortableNetwork

    portable = PortableNetwork.of(model)
    export_onnx(portable, output)
    if output != "-":
        say(f"wrote {portable.network} to {output}")
    return 0
