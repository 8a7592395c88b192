"""Packages that some tests need: those not installed skip, and fail where CI runs."""

import importlib.util
import os

import pytest


def need(*packages: str) -> None:
    """Skip where a package is not installed, or fail under ``CI=true``."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            message = f"{package} is not installed"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{message}; CI needs it, and the extra test brings it")
            pytest.skip(message)
