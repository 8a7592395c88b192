"""Files are whole or not there: on full and read-only disks, and when interrupted."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import mounts
import pytest

from runtime.errors import InputError, RunError
from runtime.files import (
    ensure_writable_folder,
    read_bytes,
    read_text,
    replacing,
    write_atomically,
)

NOBODY = 65534


@contextlib.contextmanager
def unprivileged() -> Iterator[Path]:
    """Give a folder in which this process, too, is bound by permission bits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        if os.geteuid() != 0:
            yield folder
            return
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield folder
        finally:
            os.setresuid(0, 0, 0)


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_writes_bytes_and_text_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "dZ₁ = dH₁\r\nnew\n")
    assert path.read_bytes() == "dZ₁ = dH₁\r\nnew\n".encode()
    write_atomically(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_follows_the_umask(tmp_path: Path, mask: int, expected: int) -> None:
    with umask(mask):
        write_atomically(tmp_path / "a", "x")
    assert mode(tmp_path / "a") == expected


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o755, 0o666])
def test_old_file_keeps_its_permissions(tmp_path: Path, permissions: int) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(permissions)
    write_atomically(path, "new")
    assert (path.read_text(), mode(path)) == ("new", permissions)


def test_permissions_hold_when_the_writer_makes_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o600)
    with replacing(path) as temporary:
        assert mode(temporary) == 0o600  # a private file is never readable in between
        temporary.unlink()
        temporary.write_text("new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_temporary_has_the_suffix_and_stands_beside(tmp_path: Path) -> None:
    with replacing(tmp_path / "curves.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        assert temporary.read_bytes() == b""


def test_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("there/target")
    write_atomically(link, "new")
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_text() == "new"
    target.unlink()
    write_atomically(link, "again")  # a link to nothing makes what it points to
    assert link.is_symlink()
    assert target.read_text() == "again"


def test_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path, received = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    write_atomically(path, b"through")
    reader.join(10)
    assert received == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="there is no /dev/fd here")
def test_process_substitution_is_written_to() -> None:
    read_end, write_end = os.pipe()
    try:
        write_atomically(f"/dev/fd/{write_end}", b"through")
        assert os.read(read_end, 100) == b"through"
    finally:
        os.close(read_end)
        os.close(write_end)


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "a"


UNUSABLE = {
    "folder": (lambda folder: folder, "it is a folder"),
    "slash": (lambda folder: f"{folder}/a/", "it is a folder"),
    "missing": (lambda folder: folder / "no" / "a", "its folder does not exist"),
    "below a file": (below_a_file, "a file, not a folder"),
    "long": (lambda folder: folder / ("a" * 300), "too long"),
    "loop": (loop, "circle"),
}


@pytest.mark.parametrize(("make", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_path_is_refused(
    tmp_path: Path, make: Callable[[Path], Path | str], reason: str
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=reason) as refusal:
        write_atomically(path, "x")
    assert str(path).rstrip("/") in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_empty_path_and_path_with_newline_are_named_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^'': cannot be written: it is a folder"):
        write_atomically("", "x")
    with pytest.raises(InputError) as refusal:
        write_atomically(tmp_path / "a\nb" / "c", "x")
    assert "\n" not in str(refusal.value)


def test_protected_file_and_folder_are_refused() -> None:
    with unprivileged() as folder:
        path = folder / "a"
        path.write_text("old")
        path.chmod(0o444)
        with pytest.raises(InputError, match="permission denied"):
            write_atomically(path, "new")
        assert path.read_text() == "old"
        closed = folder / "closed"
        closed.mkdir(mode=0o555)
        with pytest.raises(InputError, match="permission denied"):
            write_atomically(closed / "a", "new")
        with pytest.raises(InputError, match="permission denied"):
            ensure_writable_folder(closed / "run")
        assert names(closed) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that is not its own")
def test_file_of_another_user_is_refused_although_it_could_be_renamed_over() -> None:
    with unprivileged() as folder:
        os.setresuid(0, 0, 0)
        (folder / "a").write_text("theirs")
        (folder / "a").chmod(0o644)
        os.setresuid(NOBODY, NOBODY, 0)
        with pytest.raises(InputError, match="permission denied"):
            write_atomically(folder / "a", "new")
        assert (folder / "a").read_text() == "theirs"


def test_read_only_disk(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "a"
    path.parent.mkdir()
    path.write_text("old")
    with mounts.read_only(path.parent):
        for target in (path, path.with_name("new")):
            with pytest.raises(InputError, match=r"read-only|permission denied"):
                write_atomically(target, "new")
            with pytest.raises(RunError, match=r"read-only|permission denied"):
                write_atomically(target, "new", work_began=True)
        assert names(path.parent) == ["a"]
    assert path.read_text() == "old"


def test_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk", "64k") as disk:
        path = disk / "a"
        path.write_text("old")
        with pytest.raises(RunError, match=rf"{path}: cannot be written: the disk is full\. Free"):
            write_atomically(path, bytes(200_000))
        assert path.read_text() == "old"
        assert names(disk) == ["a"]
        write_atomically(path, bytes(20_000))  # the failed attempt holds no space
        assert path.stat().st_size == 20_000


def test_full_disk_found_by_the_writer_in_the_block(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk", "64k") as disk:
        with pytest.raises(RunError, match="disk is full"), replacing(disk / "a") as temporary:
            temporary.write_bytes(bytes(200_000))
        assert names(disk) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_block_that_raises_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_interrupt_between_write_and_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(place, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_real_interrupt(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    code = (
        "import sys, time\n"
        "from runtime.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(names(tmp_path)) == 2  # or the test would prove nothing
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_error_about_another_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert names(tmp_path) == []


def test_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    ensure_writable_folder(tmp_path / "runs" / "circles")
    assert names(tmp_path) == []
    (tmp_path / "runs").mkdir()
    ensure_writable_folder(tmp_path / "runs" / "circles")
    ensure_writable_folder(tmp_path / "runs")
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]


def test_probe_takes_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (".", "", "runs", "runs/circles", "../" + tmp_path.name):
        ensure_writable_folder(path)
    assert names(tmp_path) == []


def test_probe_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="a file stands where a folder is needed"):
        ensure_writable_folder(tmp_path / "file")
    with pytest.raises(InputError, match="a file, not a folder"):
        ensure_writable_folder(tmp_path / "file" / "run")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="a file stands where a folder is needed"):
        ensure_writable_folder(tmp_path / "link")
    assert (tmp_path / "file").read_text() == "mine"
    assert names(tmp_path) == ["file", "link"]


def test_probe_on_a_read_only_disk(tmp_path: Path) -> None:
    with mounts.read_only(tmp_path / "disk") as disk:
        for path in (disk, disk / "runs" / "circles"):
            with pytest.raises(InputError, match=rf"{path}: .*the file system is read-only"):
                ensure_writable_folder(path)


def test_probe_on_a_full_disk(tmp_path: Path) -> None:
    with mounts.full_disk(tmp_path / "disk") as disk:
        mounts.fill(disk)
        for path in (disk, disk / "runs" / "circles"):
            with pytest.raises(RunError, match=rf"{path}: .*the disk is full"):
                ensure_writable_folder(path)
        assert names(disk) == ["ballast"]


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("dZ₁\r\n".encode())
    assert read_text(path) == "dZ₁\r\n"
    path.write_bytes(b"ab\xff")
    assert read_bytes(path) == b"ab\xff"
    with pytest.raises(InputError, match="byte 2 is not UTF-8"):
        read_text(path)
    with pytest.raises(InputError, match="there is no such file"):
        read_text(tmp_path / "no")
    with pytest.raises(InputError, match="it is a folder"):
        read_bytes(tmp_path)
    with pytest.raises(InputError, match="a file, not a folder"):
        read_bytes(path / "b")
