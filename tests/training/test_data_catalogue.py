"""Names win over files, and what is neither is refused with a hint."""

from pathlib import Path

import numpy as np
import pytest

from runtime.data.catalogue import SETS, choose
from runtime.data.circles import circles
from runtime.data.options import DataOptions
from runtime.errors import InputError


@pytest.mark.parametrize("name", SETS)
def test_a_name_wins_over_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("not it")
    assert choose(name) is SETS[name]
    assert choose(f"./{name}").path == Path(name)


def test_the_labs_settings() -> None:
    assert (SETS["circles"].spec, SETS["circles"].epochs, SETS["circles"].batch) == (
        "2-10-2",
        150,
        10,
    )
    assert (SETS["mnist"].spec, SETS["mnist"].epochs, SETS["mnist"].batch) == (
        "784-100-10",
        10,
        100,
    )


def test_circles_are_drawn_from_their_seed() -> None:
    loaded = SETS["circles"].load(DataOptions(data_seed=5))
    assert np.array_equal(loaded.X_train, circles(5).X_train)
    assert (loaded.X_train.shape[1], loaded.Y_train.shape[1]) == SETS["circles"].shape


def test_a_file_is_known_by_its_ending_or_by_being_there(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    assert choose(f"{tmp_path}/no/such.MAT").name == "such"
    assert choose(f"{tmp_path}/set").name == "set"
    assert choose(f"{tmp_path}/set").shape is None
    with pytest.raises(InputError, match=r"such\.MAT: there is no such file"):
        choose(f"{tmp_path}/no/such.MAT").load()


def test_a_folder_is_called_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters" / "more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "letters" / "more")
    names = {".": "more", "..": "letters", "../more/..": "letters", "../more": "more", "/": "data"}
    assert {data: choose(data).name for data in names} == names


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("cirlces", 'Did you mean "circles"?'),
        ("MNIST", 'Did you mean "mnist"?'),
        ("2-10-2", "gradwright train circles 2-10-2"),
        (
            "rings",
            "data: rings is not known. Known: circles, mnist, fashion-mnist, moons,",
        ),
        ("nowhere/", "or the path of a CSV, NPZ, NPY, Parquet or MATLAB file, of a Zarr store"),
        ("", "data: '' is not known"),
        ("a\nb", r"data: 'a\nb' is not known"),
        ("x" * 5000, "is not known"),
        ("nul\0", r"data: 'nul\x00' is not known"),
    ],
)
def test_neither_name_nor_file(data: str, part: str) -> None:
    with pytest.raises(InputError) as refusal:
        choose(data)
    assert part in str(refusal.value)
    assert len(str(refusal.value)) < 350
