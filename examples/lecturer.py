"""For a lecturer: everything for an hour on backpropagation, in one folder.

    pip install gradwright
    python examples/lecturer.py [--network 2-10-2] [--folder lesson]

`board.html` is the derivation, step by step, for the projector; `sheet.html` has blanks for the
class, and `sheet-solution.html` what belongs there. `learning.gif` shows how a network finds the
border between two rings, `learning.png` where it ends, and `rates.png` over twenty starts what too
small and too large a learning rate do. The pages need no network connection.
"""

import argparse
from pathlib import Path

import derive
import runtime

RATES = [0.003, 0.03, 0.1, 3.0]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--network", default="2-10-2", help="sizes, two inputs and two classes")
    options.add_argument("--folder", type=Path, default=Path("lesson"))
    chosen = options.parse_args()
    folder: Path = chosen.folder
    folder.mkdir(parents=True, exist_ok=True)

    derivation = derive.derivation(chosen.network, names="lab")
    worksheet = derive.worksheet(chosen.network)
    pages = {
        "board.html": derivation.report("html", steps=True),
        "sheet.html": worksheet.report("html"),
        "sheet-solution.html": worksheet.report("html", solution=True),
    }
    for name, page in pages.items():
        (folder / name).write_text(page, encoding="utf-8")

    result = runtime.train("circles", chosen.network, epochs=300, animate=True, progress=False)
    result.plot_decision(folder / "learning.png")
    (folder / "learning.gif").write_bytes(result.animation())
    print(f"one start: {result.last_line()}")

    sweep = runtime.sweep("circles", chosen.network, eta=RATES, seeds=20)
    sweep.plot_bands(folder / "rates.png")
    print(f"of these learning rates the best: {sweep.described(sweep.best)}")
    print(f"all is in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if __name__ == "__main__":
    main()
