"""The picture of a comparison: every contender, the floors, and the same bytes each time."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.bench import turns
from runtime.bench.floors import Floors
from runtime.bench.plot import bench_figure, bench_picture
from runtime.bench.products import products
from runtime.bench.result import BenchResult
from runtime.bench.workload import workload
from runtime.commands.bench import command
from runtime.errors import RunError
from runtime.picture import blank_figure

WORK = workload("circles")
FLOORS = Floors(
    work=WORK,
    threads=1,
    peaks=(1.3e11, 1.31e11),
    products={product.name: (1.2e-7, 1.3e-7) for product in products(WORK)},
    gather=(4e-6, 4e-6),
    together=(2e-5, 2.2e-5),
)
SECONDS = {  # of runs of 3,000 steps
    "gradwright": (4.4e-4, 4.5e-4),
    "torch": (0.17, 0.20),
    "jax": (0.0144, 0.0150),
    "numpy": (0.055, 0.070),
}
RESULT = BenchResult(
    work=WORK,
    threads=1,
    processors=(1,),
    seconds=SECONDS,
    runs=dict.fromkeys(SECONDS, (3, 3)),
    imports=dict.fromkeys(SECONDS, 1.0),
    first=dict.fromkeys(SECONDS, 2.0),
    generate=(0.5, 0.4),
    cached_first=0.9,
    bytes_per_step=6_840,
    floors=(FLOORS,),
    disagreement=dict.fromkeys([name for name in SECONDS if name != "gradwright"], 1e-7),
    differs={},
    left_out={},
    others=None,
    busy=0,
    versions={"gradwright": "0"},
    platform={"cpu": "A Processor", "system": "Linux", "release": "6.1"},
)


def test_every_contender_has_a_bar_as_long_as_its_median() -> None:
    with blank_figure(8.0, 4.0) as canvas:
        axes = bench_figure(RESULT, canvas)
        bars = {
            label.get_text(): bar.get_width()
            for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
        }
        assert list(bars) == list(SECONDS)
        for name, width in bars.items():
            assert width == pytest.approx(RESULT.microseconds_per_step(name).median)
        # ours can be told from the others without colour
        assert [bool(bar.get_hatch()) for bar in axes.patches] == [True, False, False, False]
        floors = {str(line.get_label()): line for line in axes.lines if len(line.get_xdata()) == 2}
        blas = floors["products in BLAS, with gather"]
        assert blas.get_xdata()[0] == pytest.approx(1e6 * 2.1e-5 / 20)
        peak = floors["multiply-adds at peak"]
        assert peak.get_xdata()[0] == pytest.approx(1e6 * FLOORS.at_peak / 20)
        assert blas.get_linestyle() == peak.get_linestyle() == "--"
        assert axes.get_xscale() == "log"


def test_times_of_a_kind_are_drawn_to_scale() -> None:
    alike = replace(RESULT, seconds={"gradwright": (0.2, 0.21), "torch": (0.4, 0.44)})
    slow = replace(FLOORS, peaks=(1e6, 1e6), together=(1e-3, 1.1e-3))
    with blank_figure(8.0, 4.0) as canvas:
        axes = bench_figure(replace(alike, floors=(slow,)), canvas)
        assert axes.get_xscale() == "linear"
        assert axes.get_xlim()[0] == 0


@pytest.mark.parametrize(("kind", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_equal_results_give_equal_bytes(kind: str, begins: bytes) -> None:
    picture = bench_picture(RESULT, kind)
    assert picture.startswith(begins)
    assert picture == bench_picture(RESULT, kind)
    assert picture != bench_picture(replace(RESULT, threads=2), kind)


def test_the_command_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "run_bench", lambda *_, **__: RESULT)
    runner = CliRunner()
    path = tmp_path / "bars.svg"
    done = runner.invoke(command, ["circles", "--plot", str(path)], catch_exceptions=False)
    assert done.stdout == f"{RESULT}\n"
    assert path.read_bytes() == bench_picture(RESULT, ".svg")
    runner.invoke(command, ["circles", "--plot", str(tmp_path / "bars.PNG")])
    assert (tmp_path / "bars.PNG").read_bytes() == bench_picture(RESULT, ".png")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bars.pdf", "should end in .png or .svg"),
        ("bars", "should end in .png or .svg"),
        ("none/bars.png", "cannot be written"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_timed(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "run_bench", None)
    done = CliRunner().invoke(command, ["circles", "--plot", str(tmp_path / name)])
    assert message in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_failed_run_leaves_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RunError("no")

    monkeypatch.setattr(turns, "run_bench", fail)
    (tmp_path / "bars.png").write_bytes(b"old")
    CliRunner().invoke(command, ["circles", "--plot", str(tmp_path / "bars.png")])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
