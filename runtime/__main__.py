"""``python -m runtime`` is ``gradwright``."""

from runtime.cli import main

main()
