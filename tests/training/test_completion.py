"""Completion: what is offered for a line, and that bash, zsh and fish complete it for real."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from command_line import environment, run_here, script

from derive.spec import ACTIVATION_NAMES, LOSSES
from runtime.bench.peers import PEERS
from runtime.cli import COMMANDS, cli
from runtime.commands import bench
from runtime.commands.completion import PROGRAM, VARIABLE, Bash, Fish, Zsh
from runtime.data.catalogue import SETS


def offered(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what bash is told, without what it holds already."""
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORDBREAKS", " :=")
    cut, *items = Bash(cli, {}, PROGRAM, VARIABLE).complete().splitlines()
    assert cut.startswith("cut,")
    return [item.removeprefix("plain,") for item in items]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", list(COMMANDS)),
        ("tr", ["train"]),
        ("train ", [*SETS, "file,"]),
        ("train ci", ["circles", "file,ci"]),
        ("train spirals ", ["2-32-32-2"]),
        ("train circles 2-10:", [f"2-10:{name}" for name in ACTIVATION_NAMES]),
        ("train circles 2-10:relu-2:soft", ["2-10:relu-2:softplus", "2-10:relu-2:softmax"]),
        ("derive --define 'mish(z) = z*tanh(z)' 2-10:mi", ["2-10:mish"]),
        ("train --dtype ", ["float32", "float64"]),
        ("train --dtype=float6", ["float64"]),
        ("train --loss ", list(LOSSES)),
        ("generate --target n", ["numba", "numpy"]),
        ("generate 2-10-2 -o netw", ["file,netw"]),
        ("train --out=ru", ["dir,ru"]),
        ("predict runs", ["dir,runs"]),
        ("sweep moons --optimizer sgd,ad", ["sgd,adam", "sgd,adam-sklearn"]),
        ("sweep moons --hidden 8,20:re", ["8,20:relu"]),
        ("bench circles --against torch,jax-", ["torch,jax-step"]),
        ("cache ", ["clear", "list", "where"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("train --checkp", ["--checkpoint-every"]),
        ("trian cir", []),
    ],
)
def test_what_is_offered(line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(f"gradwright {line}", monkeypatch) == expected


def test_peers_are_those_of_bench() -> None:
    assert tuple(PEERS) == bench.PEERS  # which does not load them


@pytest.mark.parametrize("arguments", ["", "train circles 2-10:", "sweep --optimizer ", "bench "])
def test_a_key_loads_nothing_heavy(arguments: str) -> None:
    heavy = ("sympy", "numba", "numpy", "scipy", "matplotlib", "torch", "tqdm", "requests")
    program = (
        "import sys\nfrom runtime.cli import main\n"
        "try:\n    main([])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    asking = {VARIABLE: "bash_complete", "COMP_LINE": f"gradwright {arguments}"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environment(COMP_WORDBREAKS=" :=", **asking),
        capture_output=True,
        text=True,
        check=True,
    )
    _, *items, loaded = done.stdout.splitlines()
    assert len(items) > 1
    assert loaded == "[]"


@pytest.mark.parametrize("kind", [Bash, Zsh, Fish])
def test_the_command_prints_the_script(kind: type) -> None:
    outcome = run_here("completion", kind.name)  # type: ignore[attr-defined]
    assert (outcome.status, outcome.err) == (0, "")
    assert f"{VARIABLE}={kind.name}_complete" in outcome.out  # type: ignore[attr-defined]
    assert outcome.out.count("%") == 0


# shell -> how it is started, and what it is told first; Ctrl-X shows the line as it stands
SHELLS = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        "bind 'set enable-bracketed-paste off'; bind -x '\"\\C-x\": echo \"<$READLINE_LINE>\"'; ",
    ),
    "zsh": (
        ["-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; show() { print -r -- "<$BUFFER>" }; '
        "zle -N show; bindkey '^X' show; ",
    ),
}
LINES = {
    "gradwright tra": "gradwright train ",
    "gradwright train cir": "gradwright train circles ",
    "gradwright train table": r"gradwright train table\ one.csv ",
    "gradwright derive 2-10:rel": "gradwright derive 2-10:relu ",
    "gradwright train --dtype=float6": "gradwright train --dtype=float64 ",
    "gradwright train --out=ru": "gradwright train --out=runs/",
    "gradwright sweep --optimizer sgd,nes": "gradwright sweep --optimizer sgd,nesterov ",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a file and a folder whose names are to be completed."""
    (tmp_path / "table one.csv").touch()
    (tmp_path / "runs").mkdir()
    return tmp_path


def settings(**changes: str) -> dict[str, str]:
    path = os.pathsep.join([str(Path(script()).parent), os.environ["PATH"]])
    return environment(PATH=path, TERM="dumb", PS1="$ ", INPUTRC="/dev/null", **changes)


@pytest.mark.parametrize(  # .ci/run runs both
    "shell", ["bash", "zsh"]
)
@pytest.mark.long
def test_a_shell_completes(shell: str, place: Path, tool: Callable[..., str]) -> None:
    options, preparation = SHELLS[shell]
    begin = f'{preparation} eval "$(gradwright completion {shell})"; echo re""ady'
    with pexpect.spawn(
        tool(shell), options, env=settings(), cwd=place, encoding="utf-8", dimensions=(50, 200)
    ) as terminal:
        terminal.sendline(begin)
        terminal.expect_exact("ready")
        for typed, whole in LINES.items():
            terminal.send(f"\x15{typed}\t\x18")
            terminal.expect(r"<([^>]*)>")
            assert terminal.match.group(1).rstrip(" /") == whole.rstrip(" /")


def test_fish_completes(place: Path, tool: Callable[..., str]) -> None:
    lines = {
        "gradwright tra": "train",
        "gradwright train cir": "circles",
        "gradwright train table": "table one.csv",
        "gradwright derive 2-10:rel": "2-10:relu",
        "gradwright train --dtype=float6": "--dtype=float64",
        "gradwright train --out ru": "runs/",
        "gradwright sweep --optimizer sgd,nes": "sgd,nesterov",
    }
    asked = "".join(f"complete -C {json.dumps(line)}; " for line in lines)
    done = subprocess.run(
        [tool("fish"), "--no-config", "-c", f"gradwright completion fish | source; {asked}"],
        env=settings(),
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert found == list(lines.values())
