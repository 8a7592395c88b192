"""``python -m runtime`` is ``gradwright``."""

from runtime.start import main

main()
