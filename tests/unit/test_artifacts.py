"""Artifacts: whole or not at all, and a clear word about a file that is missing, damaged or of another format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from podnas import artifacts
from podnas.artifacts import ArtifactError


def coefficients() -> xr.Dataset:
    weeks = pd.date_range("1981-10-29", periods=6, freq="7D").to_numpy()
    values = np.arange(12.0).reshape(6, 2)
    return xr.Dataset(
        {"coefficient": (("time", "mode"), values), "segment": ("time", np.zeros(6, "int32"))},
        coords={"time": weeks, "mode": [1, 2]},
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_coefficients_survive_writing_and_reading(tmp_path: Path) -> None:
    artifacts.write_coefficients(tmp_path / "c.nc", coefficients())
    read = artifacts.read_coefficients(tmp_path / "c.nc")
    xr.testing.assert_identical(read.drop_attrs(), coefficients())
    assert read.attrs["Conventions"] == artifacts.CONVENTIONS


def test_tables_and_json_survive_writing_and_reading(tmp_path: Path) -> None:
    table = pd.DataFrame({"method": ["persistence"], "value": [0.5]})
    artifacts.write_table(tmp_path / "t.parquet", table)
    artifacts.write_json(tmp_path / "t.json", {"r2": 0.5})
    pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / "t.parquet"), table)
    assert artifacts.read_json(tmp_path / "t.json") == {"r2": 0.5}


def test_folders_are_made_and_nothing_but_the_artifact_is_left(tmp_path: Path) -> None:
    artifacts.write_text(tmp_path / "a" / "b" / "text.md", "words\n")
    assert listing(tmp_path / "a" / "b") == ["text.md"]


@pytest.mark.parametrize("error", [RuntimeError("NetCDF: HDF error"), OSError(28, "No space left on device")])
def test_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "text.md"
    path.write_text("old")
    with pytest.raises(ArtifactError, match=r"cannot be written .*(HDF error|No space)"):
        _write_and_fail(path, error)
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["text.md"]


def test_interrupted_write_leaves_no_temporary(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _write_and_fail(tmp_path / "text.md", KeyboardInterrupt())
    assert listing(tmp_path) == []


def _write_and_fail(path: Path, error: BaseException) -> None:
    with artifacts.replacing(path) as temporary:
        temporary.write_text("half")
        raise error


def test_file_is_on_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.md"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.exists()))
    artifacts.write_text(path, "words")
    assert synced == [False]


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.nc"
    with artifacts.replacing(path) as temporary:
        temporary.write_text("whole")
    temporary.write_text("left by a killed job")
    artifacts.write_coefficients(path, coefficients())
    assert listing(tmp_path) == ["c.nc"]


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match=r"results.* cannot be made .*choose a writable folder"):
        artifacts.write_text(tmp_path / "results" / "sst" / "scorecard.md", "words")


def test_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)  # permissions do not bind root, who may run the tests
    with pytest.raises(
        ArtifactError, match=r"t\.json cannot be written \(Permission denied\); make the folder writable"
    ):
        artifacts.write_json(tmp_path / "t.json", {})


def test_json_without_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(tmp_path / "t.json", {"r2": float("nan")})
    assert listing(tmp_path) == []


def test_missing_file_is_told_with_the_command_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"does not exist; run `snakemake -c2 results/tiny/field\.nc`"):
        artifacts.read_field(Path("results/tiny/field.nc"))
    with pytest.raises(ArtifactError, match=r"mine/field\.nc does not exist; check the path$"):
        artifacts.read_field(Path("mine/field.nc"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize(
    ("folder", "remedy"),
    [("results/tiny", "delete it and rerun to make it anew"), ("mine", "get the file again from where it came")],
)
def test_truncated_netcdf_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, folder: str, remedy: str
) -> None:
    """With a remedy that costs nothing: only what a rule makes again is to be deleted."""
    monkeypatch.chdir(tmp_path)
    path = Path(folder) / "c.nc"
    artifacts.write_coefficients(path, coefficients())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError, match=rf"c\.nc cannot be read .*; .*{remedy}$"):
        artifacts.read_coefficients(path)


@pytest.mark.parametrize(
    ("name", "reader"), [("t.json", "read_json"), ("t.parquet", "read_table"), ("t.nc", "read_basis")]
)
def test_file_of_another_kind_is_told(tmp_path: Path, name: str, reader: str) -> None:
    (tmp_path / name).write_text("no such format")
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        getattr(artifacts, reader)(tmp_path / name)


def test_variable_that_is_missing_is_named_by_writer_and_reader(tmp_path: Path) -> None:
    path = tmp_path / "c.nc"
    with pytest.raises(ArtifactError, match="has no variable segment"):
        artifacts.write_coefficients(path, coefficients().drop_vars("segment"))
    assert listing(tmp_path) == []
    artifacts.write_coefficients(path, coefficients())
    with pytest.raises(ArtifactError, match="has no variable forecast"):
        artifacts.read_forecast(path)


def test_dimensions_in_another_order_are_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"coefficient has dimensions \('mode', 'time'\), not \('time', 'mode'\)"):
        artifacts.write_coefficients(tmp_path / "c.nc", coefficients().transpose("mode", "time"))


def test_axis_without_coordinates_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"coefficient has no coordinates for \['mode'\]"):
        artifacts.write_coefficients(tmp_path / "c.nc", coefficients().drop_vars("mode"))


@pytest.mark.parametrize("units", ["K", None])
def test_field_in_other_units_is_refused(tmp_path: Path, units: str | None) -> None:
    weeks = coefficients()["time"]
    field = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), np.full((6, 2, 3), 290.0, "float32"), {"units": units} if units else {}),
            "cell_area": (("lat", "lon"), np.ones((2, 3)), {"units": "m2"}),
            "segment": ("time", np.zeros(6, "int32")),
        },
        coords={"time": weeks, "lat": [0.5, 1.5], "lon": [0.5, 1.5, 2.5]},
    )
    with pytest.raises(ArtifactError, match=f"sst is in {units}, not in degree_Celsius"):
        artifacts.write_field(tmp_path / "field.nc", field)
    field["sst"].attrs["units"] = "degree_Celsius"
    artifacts.write_field(tmp_path / "field.nc", field)
    assert artifacts.read_field(tmp_path / "field.nc")["sst"].attrs["units"] == "degree_Celsius"
