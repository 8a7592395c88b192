"""Compiled kernels on disk: found again, and never believed without the manifest.

The modules here are tiny ones that Numba compiles in a moment. A second process is played
by importing anew, but where a crash or a lock could matter it is a real one.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mounts
import numpy as np
import pytest
from emitted import source

from codegen import cache, compile_module, keep_compiled
from codegen.generation import GeneratedSource
from derive.spec import parse_spec

TINY = '''\
"""A tiny module."""

import numpy as np
from numba import njit


@njit(cache=True)
def double(x):
    return 2.0 * x


@njit(cache=True)
def total(a):
    result = 0.0
    for i in range(a.size):
        result += double(a[i])
    return result
'''


def tiny(text: str = TINY) -> GeneratedSource:
    return GeneratedSource(spec=parse_spec("2-2"), dtype="float64", text=text, reports={})


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep kernels in a folder of the test's own, and forget what was imported from it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(cache.ENVIRONMENT, str(folder))
    monkeypatch.setattr(cache, "_in_use", set())
    monkeypatch.setattr(cache, "_temporary_folder", [])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("gradwright_"):
            del sys.modules[name]
    for temporary in cache._temporary_folder:
        shutil.rmtree(temporary, ignore_errors=True)


def start(made: GeneratedSource | None = None) -> ModuleType:
    """Import a module as a process that has not yet seen it does."""
    cache._in_use.clear()
    made = made or tiny()
    sys.modules.pop(f"gradwright_{cache.digest(made.text)}", None)
    return compile_module(made)


def use(module: ModuleType) -> tuple[int, int]:
    """Call the kernels, check what they say, and return how many were found and compiled."""
    assert module.total(np.arange(4.0)) == 12.0
    assert module.double(3.0) == 6.0
    kernels = (module.double, module.total)
    found = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels)
    made = sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels)
    return found, made


def sealed() -> Path:
    """Return a module's folder after it was compiled and sealed."""
    module = start()
    assert use(module)[0] == 0
    keep_compiled(module)
    folder = Path(str(module.__file__)).parent
    assert use(start()) == (2, 0), "it is found again, or nothing below means anything"
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------- found again

REPORT = """
print(json.dumps({
    "file": module.__file__,
    "value": value,
    "found": sum(sum(k.stats.cache_hits.values()) for k in kernels),
    "made": sum(sum(k.stats.cache_misses.values()) for k in kernels),
}), flush=True)
"""

NETWORK = f"""
import json
import numpy as np
from codegen import compile_module, generate

module = compile_module(generate("2-2", dtype="float32"))
value, _ = module.loss_and_gradients(module.init_params(), np.ones((3, 2)), np.eye(2)[[0, 1, 0]])
kernels = (module._gradients,)
{REPORT}"""

PROCESS = f"""
import json, os
import numpy as np
from codegen import compile_module
from codegen.generation import GeneratedSource

made = GeneratedSource(spec=None, dtype="float64", text={TINY!r}, reports={{}})
module = compile_module(made)
value = module.total(np.arange(4.0)) + module.double(3.0)
kernels = (module.total, module.double)
{REPORT}"""


def process(program: str = PROCESS, **changes: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_second_process_compiles_nothing(base: Path) -> None:
    first = process(NETWORK)
    assert (first["found"], first["made"]) == (0, 1)
    folder = Path(first["file"]).parent
    assert folder.parent == base / "kernels"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")}
    assert len(before) == 2
    second = process(NETWORK)
    assert (second["found"], second["made"]) == (1, 0)
    assert second["value"] == first["value"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb?")} == before


def test_a_crash_loses_what_was_not_sealed_and_nothing_else() -> None:
    killed = PROCESS + "\nos.kill(os.getpid(), 9)\n"
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, check=False)
    assert done.returncode == -9
    module = start()
    assert use(module) == (0, 2)
    keep_compiled(module)
    assert use(start()) == (2, 0)


def test_numbas_own_setting_does_not_lead_elsewhere(tmp_path: Path, base: Path) -> None:
    """In $NUMBA_CACHE_DIR nobody would vouch for what is found."""
    elsewhere = tmp_path / "elsewhere"
    first = process(NUMBA_CACHE_DIR=str(elsewhere))
    assert not elsewhere.exists()
    assert list(Path(first["file"]).parent.rglob("*.nbc"))
    assert use(start()) == (2, 0)


def test_the_setting_is_there_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import config

    monkeypatch.setattr(config, "CACHE_DIR", "somewhere")
    start()
    assert config.CACHE_DIR == "somewhere"
    with pytest.raises(SyntaxError):
        start(tiny("def"))
    assert config.CACHE_DIR == "somewhere"


def test_in_this_process() -> None:
    folder = sealed()
    listed = json.loads((folder / cache.MANIFEST).read_text("utf-8"))
    there = contents(folder)
    assert set(listed) == set(there) - {cache.MANIFEST}
    assert sum(name.endswith((".nbc", ".nbi")) for name in listed) == 4


def test_the_file_holds_the_text_and_is_named_by_it() -> None:
    path = cache.prepare(TINY)
    assert path.read_text("utf-8") == TINY
    assert path.name == f"gradwright_{cache.digest(TINY)}.py"
    assert path.parent.name == cache.digest(TINY)


def test_a_second_call_in_one_process_gives_the_same_module_and_discards_nothing() -> None:
    """What has been compiled by then is not sealed yet."""
    module = start()
    use(module)
    folder = Path(str(module.__file__)).parent
    before = contents(folder)
    assert compile_module(tiny()) is module
    assert contents(folder) == before
    keep_compiled(module)
    assert use(start()) == (2, 0)


def test_what_is_compiled_later_is_sealed_when_the_process_ends() -> None:
    assert process()["made"] == 2
    assert use(start()) == (2, 0)


@pytest.mark.slow
def test_a_module_that_cannot_be_imported_leaves_nothing_behind() -> None:
    broken = tiny("raise RuntimeError('no')\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            compile_module(broken)
        assert not any(name.endswith(cache.digest(broken.text)) for name in sys.modules)


def test_keep_compiled_of_a_module_without_a_file() -> None:
    keep_compiled(ModuleType("made_up"))


@pytest.mark.parametrize("part", ["text", "processor", "python", "numba"])
def test_what_a_folder_is_named_by(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.digest(TINY)
    text = TINY
    if part == "text":
        text += "\n"
    elif part == "processor":
        monkeypatch.setattr(cache, "_processor", lambda: "another")
    elif part == "python":
        monkeypatch.setattr(sys, "version", "4.0")
    else:
        monkeypatch.setattr(cache.metadata, "version", lambda name: f"{name} 99")
    assert cache.digest(text) != before


# ---------------------------------------------------------------- damaged files


def places(size: int) -> list[int]:
    """Return places of a file: both ends, the middle, and some drawn ones."""
    drawn = np.random.default_rng(size).integers(0, size, 4)
    return sorted({0, size // 2, size - 1, *drawn.tolist()})


FLIPS = """
import json, os, sys
import numpy as np
from pathlib import Path
sys.path[:0] = json.loads(os.environ["PATHS"])
import test_cache as t

folder = t.sealed()
good = t.contents(folder)
tried, wrong = 0, []
for name, content in good.items():
    for place in t.places(len(content)):
        for path in folder.rglob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in good:
                path.unlink()
        for other, bytes_ in good.items():
            (folder / other).write_bytes(bytes_)
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        (folder / name).write_bytes(bytes(damaged))
        t.cache._in_use.clear()
        found, made = t.use(t.start())  # asserts that the results are right
        tried += 1
        left = (folder / name).read_bytes() if (folder / name).exists() else b""
        if name != t.cache.MANIFEST and left == damaged:
            wrong.append(f"{name} at {place} was believed")
        if name.endswith((".nbc", ".nbi")) and made == 0:
            wrong.append(f"{name} at {place}: nothing was compiled again")
print(json.dumps({"tried": tried, "wrong": wrong}))
"""


@pytest.mark.long
def test_a_flipped_bit_anywhere_is_seen_and_mended(tmp_path: Path) -> None:
    """Numba would run what it finds: here it never finds it. A crash would end this process."""
    here = Path(__file__).parent
    found = process(
        FLIPS,
        PATHS=json.dumps([str(here), str(here.parent / "support")]),
        GRADWRIGHT_CACHE=str(tmp_path / "flipped"),
    )
    assert found["wrong"] == []
    assert found["tried"] > 30


@pytest.mark.parametrize("damage", ["cut", "empty", "longer", "gone", "another's"])
def test_other_damage(damage: str) -> None:
    folder = sealed()
    code = sorted(folder.rglob("*.nbc"))
    for path in code:
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(
                {
                    "cut": content[: len(content) // 2],
                    "empty": b"",
                    "longer": content + b"\0",
                    "another's": code[0].read_bytes() + code[-1].read_bytes(),
                }[damage]
            )
    module = start()
    assert use(module)[1] == 2
    keep_compiled(module)
    assert use(start()) == (2, 0), "it is mended, too"


@pytest.mark.parametrize("kind", ["compiled code", "index", "bytecode", "text"])
@pytest.mark.parametrize("is_new", [True, False], ids=["written by it", "found by it"])
def test_what_is_damaged_while_its_process_runs_is_not_vouched_for(
    kind: str, is_new: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its end a process seals what it wrote, or had read: not what lies there by then."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    module = start()
    use(module)
    if not is_new:
        keep_compiled(module)
        module = start()
        assert use(module) == (2, 0)
    folder = Path(str(module.__file__)).parent
    pattern = {"compiled code": "*.nbc", "index": "*.nbi", "bytecode": "*.pyc", "text": "*.py"}
    damaged = {}
    for path in folder.rglob(pattern[kind]):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        damaged[path] = bytes(content)
    assert damaged
    keep_compiled(module)
    listed = json.loads((folder / cache.MANIFEST).read_text("utf-8"))
    assert not set(listed) & {path.relative_to(folder).as_posix() for path in damaged}
    assert len(listed) == len(contents(folder)) - 1 - len(damaged), "the others are vouched for"
    again = start()
    assert all(not path.exists() or path.read_bytes() != damaged[path] for path in damaged)
    assert use(again)[1] == (2 if kind in ("compiled code", "index") else 0)


def test_what_another_process_has_sealed_stays_sealed() -> None:
    """A seal adds to the manifest; it does not take another's files out of it."""
    module = start()
    other = process()  # compiles, and seals at its end
    assert other["made"] == 2
    keep_compiled(module)  # this one has compiled nothing
    assert use(start()) == (2, 0)


def test_a_relative_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(cache.ENVIRONMENT, "here")
    sealed()


def test_the_text_is_put_right() -> None:
    folder = sealed()
    (path,) = folder.glob("gradwright_*.py")
    path.write_text(TINY.replace("2.0", "3.0"), "utf-8")
    assert use(start()) == (2, 0)
    assert path.read_text("utf-8") == TINY


def test_a_wrong_text_is_not_believed_because_a_manifest_lists_it() -> None:
    folder = sealed()
    (path,) = folder.glob("gradwright_*.py")
    path.write_text(TINY.replace("2.0", "3.0"), "utf-8")
    cache.seal(folder)
    use(start())
    assert path.read_text("utf-8") == TINY


def test_what_is_not_listed_is_deleted() -> None:
    folder = sealed()
    strangers = [folder / "stranger.py", folder / "__pycache__" / "double.nbc", folder / ".hidden"]
    strangers += [folder / "deeper" / "still" / "stranger", folder / "deeper" / cache.MANIFEST]
    for path in strangers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stranger")
    assert sorted(cache.discard_unvouched(folder)) == sorted(strangers)
    assert not any(path.exists() for path in strangers)
    assert use(start()) == (2, 0)


def test_links_are_deleted_and_not_followed(tmp_path: Path) -> None:
    folder = sealed()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (listed,) = folder.rglob("*double*.nbi")
    content = listed.read_bytes()
    (outside / "copy").write_bytes(content)
    listed.unlink()
    listed.symlink_to(outside / "copy")  # with the very bytes that are listed
    (folder / "folder").symlink_to(outside)
    (folder / "nowhere").symlink_to(outside / "nothing")
    cache.discard_unvouched(folder)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert contents(outside) == {"kept": b"kept", "copy": content}
    use(start())


def test_a_link_is_never_vouched_for() -> None:
    folder = sealed()
    (folder / "link").symlink_to(folder / cache.MANIFEST)
    cache.seal(folder)
    cache.discard_unvouched(folder)
    assert not (folder / "link").is_symlink()


def test_a_pipe_does_not_make_it_wait() -> None:
    folder = sealed()
    os.mkfifo(folder / "pipe")
    use(start())
    assert not (folder / "pipe").exists()


MANIFESTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\0",
    "a list": b"[]",
    "a number": b"1",
    "nothing": b"null",
    "deep": b"[" * 100_000,
    "of other types": b'{"gradwright.py": 1, "x": [], "y": null}',
    "of another": b'{"other.py": "00"}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_says_nothing(content: bytes) -> None:
    folder = sealed()
    (folder / cache.MANIFEST).write_bytes(content)
    assert use(start())[1] == 2, "everything is compiled again"


def test_a_manifest_that_is_gone() -> None:
    folder = sealed()
    (folder / cache.MANIFEST).unlink()
    assert use(start())[1] == 2


def test_a_folder_in_the_manifests_place() -> None:
    folder = sealed()
    (folder / cache.MANIFEST).unlink()
    (folder / cache.MANIFEST).mkdir()
    module = start()
    assert use(module)[1] == 2
    keep_compiled(module)


# ---------------------------------------------------------------- whose folder it is


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_closed_to_others(base: Path) -> None:
    before = os.umask(0)
    try:
        path = cache.prepare(TINY)
    finally:
        os.umask(before)
    assert mode(base / "kernels") == 0o700
    assert mode(path.parent) == 0o700
    assert mode(path) & 0o077 == 0


@pytest.mark.parametrize("open_to", [0o755, 0o750, 0o701])
def test_a_folder_that_others_could_read_is_closed(base: Path, open_to: int) -> None:
    sealed()
    (base / "kernels").chmod(open_to)
    assert use(start()) == (2, 0), "nobody can have changed what is in it"
    assert mode(base / "kernels") == 0o700


@pytest.mark.parametrize("open_to", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_could_write_to_is_closed_and_emptied(
    base: Path, open_to: int, tmp_path: Path
) -> None:
    """Whoever could write could write a manifest as well."""
    folder = sealed()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (folder.parent / "link").symlink_to(outside)
    (folder.parent / "file").write_bytes(b"")
    folder.parent.chmod(open_to)
    assert use(start())[1] == 2
    assert mode(folder.parent) == 0o700
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert contents(outside) == {"kept": b"kept"}


def is_temporary(path: Path, base: Path) -> bool:
    return base not in path.parents and mode(path.parents[1]) == 0o700


def test_a_linked_folder_is_not_used(base: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    base.mkdir()
    (base / "kernels").symlink_to(elsewhere)
    path = cache.prepare(TINY)
    assert is_temporary(path, base)
    assert not list(elsewhere.iterdir())
    use(start())


def test_a_linked_folder_of_a_module_is_not_used(base: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(sealed(), elsewhere)
    before = contents(elsewhere)
    folder = base / "kernels" / cache.digest(TINY)
    shutil.rmtree(folder)
    folder.symlink_to(elsewhere)
    assert use(start())[1] == 2
    assert not folder.is_symlink()
    assert contents(elsewhere) == before


def test_a_file_in_the_folders_place(base: Path) -> None:
    base.mkdir()
    (base / "kernels").write_bytes(b"mine")
    assert is_temporary(cache.prepare(TINY), base)
    assert (base / "kernels").read_bytes() == b"mine"


def test_a_file_in_the_place_of_a_modules_folder(base: Path) -> None:
    (base / "kernels").mkdir(parents=True)
    place = base / "kernels" / cache.digest(TINY)
    place.write_bytes(b"mine")
    assert is_temporary(cache.prepare(TINY), base)
    use(start())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_another_users_folder_is_not_used(base: Path) -> None:
    folder = sealed()
    os.chown(base / "kernels", 12345, 12345)
    assert is_temporary(cache.prepare(TINY), base)
    assert use(start())[1] == 2
    assert folder.is_dir(), "it is theirs"


def test_a_read_only_folder(base: Path) -> None:
    sealed()
    with mounts.read_only(base):
        path = cache.prepare(TINY)
        assert is_temporary(path, base)
        use(start())
    cache.prepare(TINY)


def test_a_folder_that_cannot_be_made(base: Path, tmp_path: Path) -> None:
    with mounts.read_only(tmp_path / "locked") as locked:
        os.environ[cache.ENVIRONMENT] = str(locked / "deep" / "down")
        assert is_temporary(cache.prepare(TINY), locked)


def test_a_folder_is_made_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "deep" / "down"))
    assert tmp_path / "deep" / "down" / "kernels" in cache.prepare(TINY).parents


def test_the_users_cache_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.ENVIRONMENT)
    monkeypatch.setattr(cache.platformdirs, "user_cache_dir", lambda name: f"/caches/{name}")
    assert cache.cache_folder() == Path("/caches/gradwright/kernels")


def test_the_temporary_folder_is_one_for_a_process_and_deleted_at_its_end(base: Path) -> None:
    base.mkdir()
    (base / "kernels").write_bytes(b"")
    first, second = process(), process()
    assert first["made"] == second["made"] == 2
    folders = {Path(found["file"]).parents[1] for found in (first, second)}
    assert len(folders) == 2
    assert not any(folder.exists() for folder in folders)


# ---------------------------------------------------------------- full disk


def test_a_disk_that_is_full(base: Path) -> None:
    with mounts.full_disk(base) as disk:
        mounts.fill(disk)
        assert is_temporary(cache.prepare(TINY), base)
        assert use(start())[1] == 2


def test_a_disk_that_is_nearly_full(base: Path) -> None:
    """The text would fit, and what Numba makes of it would not."""
    with mounts.full_disk(base, "256k"):
        module = start(source("2-2"))
        value, _ = module.loss_and_gradients(
            module.init_params(), np.ones((3, 2)), np.eye(2)[[0, 1, 0]]
        )
        assert np.isfinite(value)
        assert is_temporary(Path(str(module.__file__)), base)


def test_a_disk_that_fills_up_before_the_seal(base: Path) -> None:
    with mounts.full_disk(base, "64m") as disk:
        module = start()
        assert base in Path(str(module.__file__)).parents
        use(module)
        mounts.fill(disk)
        keep_compiled(module)
        folder = Path(str(module.__file__)).parent
        assert not [name for name in contents(folder) if name.endswith(".tmp")]
        (disk / "ballast").unlink()
        assert use(start())[1] == 2, "nothing was vouched for"


# ---------------------------------------------------------------- several processes at once


@pytest.mark.long
def test_processes_at_once(base: Path) -> None:
    """They delete what is not sealed under each other's hands; all have right results."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROCESS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    found = []
    for one in running:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, err) == (0, "")
        found.append(json.loads(out))
    assert len({one["value"] for one in found}) == 1
    module = start()
    use(module)
    keep_compiled(module)
    assert use(start()) == (2, 0)


def test_what_another_process_is_writing_is_left_alone() -> None:
    folder = sealed()
    half = [
        folder / ".abc.tmp",  # ours
        folder / "__pycache__" / "f.nbi.tmp.0123456789abcdef",  # Numba's
        folder / "__pycache__" / "f.cpython-311.pyc.140213",  # Python's
    ]
    for path in half:
        path.write_bytes(b"half")
    assert cache.discard_unvouched(folder) == []
    cache.seal(folder)
    listed = json.loads((folder / cache.MANIFEST).read_text("utf-8"))
    assert not set(listed) & {path.relative_to(folder).as_posix() for path in half}
    # but not for ever
    old = time.time() - 3600
    for path in half:
        os.utime(path, (old, old))
    assert sorted(cache.discard_unvouched(folder)) == sorted(half)


def test_a_file_that_another_process_discards_is_written_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is sealed nobody vouches for it."""
    waiting = 2
    note = cache.note_written

    def discarded(path: Path, content: bytes) -> None:
        nonlocal waiting
        note(path, content)
        if waiting:
            waiting -= 1
            path.unlink()

    monkeypatch.setattr(cache, "note_written", discarded)
    path = cache.prepare(TINY)
    assert base in path.parents
    assert path.read_text("utf-8") == TINY
    assert waiting == 0


def test_preparing_and_sealing_at_once() -> None:
    """Many threads stand for many processes: no step of one breaks another's."""
    errors: list[BaseException] = []
    end = time.monotonic() + 1.0

    def work(number: int) -> None:
        try:
            while time.monotonic() < end:
                cache._in_use.clear()
                path = cache.prepare(TINY)
                assert base_of(path) == base_of(first)
                (path.parent / f"{number}.nbc").write_bytes(b"%d" % number)
                cache.seal(path.parent)
        except BaseException as error:  # noqa: BLE001  # shown by the test's own thread
            errors.append(error)

    def base_of(path: Path) -> Path:
        return path.parents[1]

    first = cache.prepare(TINY)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert cache.prepare(TINY).read_text("utf-8") == TINY


# ---------------------------------------------------------------- list and clear


def test_entries_and_clear(base: Path) -> None:
    assert cache.entries() == ()
    folder = sealed()
    start(source("2-2"))
    found = {entry.name: entry for entry in cache.entries()}
    assert [entry.name for entry in cache.entries()] == sorted(found)
    entry = found[folder.name]
    assert entry.title == "A tiny module"
    assert entry.size == sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name != cache.MANIFEST
    )
    titles = {entry.title for entry in found.values()}
    assert "The network 2-2 with the loss cross-entropy: kernels in float64" in titles
    assert cache.clear() == 2
    assert cache.entries() == ()
    assert not (base / "kernels").exists()
    assert cache.clear() == 0


def test_after_clearing_everything_is_made_again() -> None:
    sealed()
    cache.clear()
    assert compile_module(tiny()) is not None
    assert use(start())[1] == 2


def test_what_is_no_entry(base: Path) -> None:
    (base / "kernels" / "notes").mkdir(parents=True)
    (base / "kernels" / "file").write_bytes(b"")
    assert cache.entries() == ()


DAMAGED: dict[str, Callable[[Path], object]] = {
    "no text": lambda path: path.write_bytes(b"\xff\xfe\n"),
    "empty": lambda path: path.write_bytes(b""),
    "long": lambda path: path.write_bytes(b"x" * 10_000),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_entry_still_has_a_title(damage: Callable[[Path], object]) -> None:
    damage(cache.prepare(TINY))
    (entry,) = cache.entries()
    assert len(entry.title) <= 200
