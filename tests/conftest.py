"""What all tests share: golden files, tools that CI must have, where kernels are cached."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable

import pytest
from golden import FLAG, FOLDER, compare_or_update
from hypothesis import settings

# their assertions speak as those of tests do
pytest.register_assert_rewrite("emitted", "kernels")


# a find of chance belongs to whoever is at the keyboard, not to a run that lands a change
settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        FLAG,
        action="store_true",
        help="write the texts that the golden files hold, in place of comparing them",
    )


def pytest_configure() -> None:
    """Keep the kernels of this run in one folder, away from the user's; compile each once."""
    if "GRADWRIGHT_CACHE" not in os.environ:
        os.environ["GRADWRIGHT_CACHE"] = folder = tempfile.mkdtemp(prefix="gradwright-tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave of a sweep every third case by default: the others are for ``-m slow``.

    Which ones does not change from run to run; a stride of 3 meets every value of parameters
    whose number of values is no multiple of 3.
    """
    seen: dict[str, int] = {}
    for item in items:
        if item.get_closest_marker("sweep") and not item.get_closest_marker("slow"):
            name = item.nodeid.partition("[")[0]
            seen[name] = seen.get(name, 0) + 1
            if seen[name] % 3 != 1:
                item.add_marker(pytest.mark.slow)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return the comparison of a text with the golden file of a name."""
    update = request.config.getoption(FLAG)

    def compare(name: str, text: str) -> None:
        compare_or_update(FOLDER / name, text, update=update)

    return compare


@pytest.fixture
def tool() -> Callable[..., str]:
    """Return a search for a program: without it a test is skipped, or fails under ``CI=true``."""

    def find(*names: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        message = f"none of {', '.join(names)} is on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{message}; CI needs it, and .ci/run installs it")
        pytest.skip(message)

    return find
