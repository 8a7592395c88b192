"""What all tests share: golden files, tools that CI must have, where kernels are cached."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable

import pytest
from golden import FLAG, FOLDER, compare_or_update
from hypothesis import settings

# their assertions speak as those of tests do
pytest.register_assert_rewrite("emitted", "kernels")


# a find of chance belongs to whoever is at the keyboard, not to a run that lands a change
# (and how long an example takes is other programmes' affair too)
settings.register_profile("ci", derandomize=True, database=None, deadline=None)
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


STRIDE = 14  # of a sweep's cases, one stands for so many


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave of a sweep about every fourteenth case by default: the others are for ``-m slow``.

    Which ones does not change from run to run. A stride over activations × losses, of
    which there are 6, could meet few of them alone: so cases lie on a diagonal, where places
    among the values of each parameter add up to a multiple of it. A name of several cases (of
    an activation, a loss) that none of these has brings the first case that has it.
    """
    sweeps: dict[str, list[pytest.Function]] = {}
    for item in items:
        if item.get_closest_marker("long"):  # .ci/run asks for these by -m long
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("sweep") and not item.get_closest_marker("slow"):
            assert isinstance(item, pytest.Function)
            sweeps.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in sweeps.values():
        kept = chosen([case.callspec.params for case in cases])
        for case, is_kept in zip(cases, kept, strict=True):
            if not is_kept:
                case.add_marker(pytest.mark.slow)


def chosen(cases: list[dict[str, object]]) -> list[bool]:
    """Return which cases of a sweep stand for the others, each given by its parameters."""
    places: dict[str, dict[str, int]] = {}
    kept = []
    for case in cases:
        known = [(places.setdefault(name, {}), str(value)) for name, value in case.items()]
        kept.append(
            sum(among.setdefault(value, len(among)) for among, value in known) % STRIDE == 0
        )
    often = Counter(entry for case in cases for entry in case.items() if isinstance(entry[1], str))
    names = [
        {entry for entry in case.items() if isinstance(entry[1], str) and often[entry] > 1}
        for case in cases
    ]
    met = {entry for number, is_kept in enumerate(kept) if is_kept for entry in names[number]}
    for number, entries in enumerate(names):
        kept[number] |= not entries <= met
        met |= entries
    return kept


def pytest_collection_finish() -> None:
    """Look for garbage seldom: SymPy makes much that lives, and a look at all of it is slow.

    What the collection of tests has made stays until the end, and is not looked at again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Vouch for what a file has compiled, so that the other worker need not compile it too."""
    if nextitem is None or nextitem.path != item.path:
        for name, module in list(sys.modules.items()):
            if name.startswith("gradwright_") and "codegen" in sys.modules:
                sys.modules["codegen"].keep_compiled(module)


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
