"""For a user of embedded C: a network that learns and decides on a board without a heap.

    pip install gradwright          # and a C compiler; for the board arm-none-eabi-gcc
    python examples/embedded_c_user.py [--folder board]

Writes net.c and net.h (generated), board.h (start weights and samples, as constants) and board.c
(the main programme, from examples/embedded), and compiles and runs them here. The weights that
they learn are those that `runtime.train` finds from the same start, to rounding: the test points
that are decided rightly are compared. Then `size` tells what it takes, here, and for a Cortex-M4
where the cross compiler is installed: flash is text + data, RAM is data + bss; the stack is
besides.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import numpy as np

import codegen
import runtime

EPOCHS, BATCH, ETA, SEED = 300, 10, 0.03, 0
ROOM = 2048  # bytes in the place of a heap
# the generated functions take their memory from board.c
FLAGS = ["-std=c99", "-Os", "-DNET_PORTABLE", "-DCHUNK=16"]
FLAGS += ["-Dcalloc=fixed_calloc", "-Dfree=fixed_free"]
CORTEX = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-DON_BOARD"]
CORTEX += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "--specs=nosys.specs"]


def array(kind: str, name: str, values: np.ndarray) -> str:
    """Return an array as a constant in C, exactly."""
    numbers = [float(v).hex() + "f" if kind == "float" else str(int(v)) for v in values.ravel()]
    return f"static const {kind} {name}[] = {{{', '.join(numbers)}}};\n"


def board_header(data: runtime.Dataset, start: dict[str, np.ndarray]) -> str:
    numbers = {"EPOCHS": EPOCHS, "BATCH": BATCH, "SEED": SEED, "ROOM": ROOM}
    numbers |= {"SAMPLES": len(data.X_train), "TESTS": len(data.X_test)}
    return (
        f"enum {{{', '.join(f'{name} = {value}' for name, value in numbers.items())}}};\n"
        f"#define ETA {ETA}f\n"
        + array("float", "start", np.concatenate([start[name].ravel() for name in start]))
        + array("float", "x", data.X_train)
        + array("float", "y", data.Y_train)
        + array("float", "test_x", data.X_test)
        + array("unsigned char", "test_class", data.Y_test.argmax(1))
    )


def show_size(what: str, program: str, path: Path) -> None:
    answer = subprocess.run([program, path], capture_output=True, text=True, check=True).stdout
    text, initialised, zeroed = map(int, answer.splitlines()[1].split()[:3])
    print(f"{what:<10} flash {text + initialised:>6} bytes   RAM {initialised + zeroed:>6} bytes")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--folder", type=Path, default=Path("board"))
    folder: Path = options.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    result = runtime.train(
        "circles", "2-10-2", epochs=EPOCHS, batch=BATCH, eta=ETA, seed=SEED, progress=False
    )
    start = result.model.module.init_params(SEED)
    source = codegen.generate("2-10-2", target="c", prefix="net")
    (folder / "net.c").write_text(source.text, encoding="utf-8")
    (folder / "net.h").write_text(source.header, encoding="utf-8")
    (folder / "board.h").write_text(board_header(result.data, start), encoding="ascii")
    shutil.copy(Path(__file__).with_name("embedded") / "board.c", folder)

    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("there is no C compiler: install gcc or clang, and run this again")
    files = [folder / "board.c", folder / "net.c"]
    program = folder / "here"
    subprocess.run([compiler, *FLAGS, *files, "-lm", "-o", program], check=True)
    subprocess.run([program], check=True)
    P = result.predict(result.data.X_test)
    right = int((P.argmax(1) == result.data.Y_test.argmax(1)).sum())
    print(f"right {right} of {len(P)}, by runtime.train from the same start")

    if size := shutil.which("size"):
        show_size("here", size, program)
    if cross := shutil.which("arm-none-eabi-gcc"):
        program = folder / "board.elf"
        subprocess.run([cross, *FLAGS, *CORTEX, *files, "-lm", "-o", program], check=True)
        show_size("Cortex-M4", "arm-none-eabi-size", program)


if __name__ == "__main__":
    main()
