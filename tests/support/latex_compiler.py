"""Does a LaTeX document compile as it stands?"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from matplotlib.mathtext import MathTextParser


def assert_compiles(document: str, folder: Path) -> None:
    """With a LaTeX where there is one; formula by formula with Matplotlib's parser elsewhere."""
    assert document.isascii()
    assert document.count("\\begin{") == document.count("\\end{")
    if shutil.which("pdflatex"):
        (folder / "report.tex").write_text(document, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        result = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert result.returncode == 0, result.stdout.decode(errors="replace")[-2000:]
        return
    assert os.environ.get("CI") != "true", "CI needs pdflatex, and .ci/run installs it"
    rows = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", document, flags=re.DOTALL)
    parser = MathTextParser("path")
    for row in "\n".join(rows).replace(" \\\\\n", "\n").splitlines():
        cells = [cell.strip() for cell in row.split("&") if cell.strip()]
        for cell in cells:
            parser.parse(f"${cell}$")
    for formula in re.findall(r"\$([^$]+)\$", document):
        parser.parse(f"${formula}$")
