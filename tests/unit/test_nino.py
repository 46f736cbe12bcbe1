"""The index: both formats, what is refused, CPC's newest file or none, and what CPC's anomalies define."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.artifacts import ArtifactError
from podnas.data import nino
from podnas.ensemble.mixture import gaussian
from podnas.verify.nino import Cpc
from tests import index
from tests import publisher as faults


def test_both_formats_hold_the_same(tmp_path):
    made = index.table(60)
    read = [
        nino.read(index.write_table(tmp_path / "a.csv", made)),
        nino.read(index.write_cpc(tmp_path / "a.for", made)),
    ]
    for one in read:
        assert (one.week == made.week).all()
        assert np.allclose(one[["sst", "anomaly"]], made[["sst", "anomaly"]])


def test_the_series_starts_its_weeks_on_sunday_and_has_no_anomaly():
    made = index.table(60)
    series = nino.series(made, "made up")
    assert str(series.time.values[0])[:10] == "1981-08-30"
    assert set(series.data_vars) == {"coefficient", "segment"}
    assert np.array_equal(series.coefficient.values[:, 0], made.sst)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1981-09-30,", "1981-10-01,", "not seven days later"),
        ("1981-09-30,", "30.9.1981,", "is no day"),
        ("week,sst_degC", "week,sst_K", "no header"),
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path, old, new, said):
    path = index.write_table(tmp_path / "a.csv", index.table(60))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ArtifactError, match=said) as caught:
        nino.read(path)
    assert str(path) in str(caught.value)


def test_missing_values_and_other_days_are_refused(tmp_path):
    made = index.table(60)
    made.loc[7, "sst"] = -99.9
    with pytest.raises(ArtifactError, match=r"sst of 1981-10-21 is -99.9, outside 20 to 34"):
        nino.read(index.write_table(tmp_path / "a.csv", made))
    made = index.table(60)
    made["week"] += np.timedelta64(1, "D")
    with pytest.raises(ArtifactError, match="centred on Thursday"):
        nino.read(index.write_table(tmp_path / "a.csv", made))


@pytest.mark.parametrize("name", ["a.csv", "a.for"])
def test_a_cut_file_is_refused_with_its_line(tmp_path, name):
    write = index.write_table if name.endswith(".csv") else index.write_cpc
    path = write(tmp_path / name, index.table(60))
    path.write_text(path.read_text()[: -2 if name.endswith(".csv") else -4])
    with pytest.raises(ArtifactError, match=r"line 6\d: .*truncated or damaged"):
        nino.read(path)


def test_the_newest_file_comes_from_a_server(tmp_path, monkeypatch):
    monkeypatch.delenv("PODNAS_OFFLINE", raising=False)
    committed = index.write_table(tmp_path / "a.csv", index.table(60))
    newer = index.write_cpc(tmp_path / "newer", index.table(62)).read_bytes()
    with faults.serving() as server:
        server.files["/weekly.for"] = newer
        address = f"{server.address}/weekly.for"
        path, origin = nino.provide(committed, tmp_path / "index", True, address)
        assert len(nino.read(path)) == 62
        assert origin == f"CPC weekly Niño 3.4, {address} to 1982-11-03"
        server.files["/weekly.for"] = b"<html>moved</html>"
        assert nino.provide(committed, tmp_path / "index", True, address)[0] == committed
        server.files["/weekly.for"] = index.write_cpc(tmp_path / "older", index.table(50)).read_bytes()
        assert nino.provide(committed, tmp_path / "index", True, address)[0] == committed


def test_without_a_network_the_committed_table_is_taken_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PODNAS_OFFLINE", "1")
    committed = index.write_table(tmp_path / "a.csv", index.table(60))
    path, origin = nino.provide(committed, tmp_path, True)
    assert path == committed
    assert origin == f"CPC weekly Niño 3.4, {committed} to 1982-10-20"


def test_the_committed_table_is_whole():
    read = nino.read(nino.Path("resources/nino34_weekly.csv"))
    assert len(read) >= 2346
    assert str(read.week.iloc[0])[:10] == index.FIRST


def test_events_are_cpcs_to_the_decimal_and_chances_have_half_a_digit():
    made = index.table(400)
    made.loc[[300, 301], "anomaly"] = [0.5, -0.5]
    made.loc[302, "anomaly"] = 0.4
    cpc = Cpc(made)
    starts = cpc.starts[300:303]
    assert cpc.events(starts, 0.5)["warm"].tolist() == [1, 0, 0]
    assert cpc.events(starts, 0.5)["cold"].tolist() == [0, 1, 0]
    # a forecast at the lower edge of what is rounded to .5 has even chances
    normal = cpc.climatology(starts)
    even = cpc.probabilities(gaussian(normal + 0.45, np.array(0.3)), starts, 0.5)
    assert np.allclose(even["warm"], 0.5)
    assert (even["cold"] < 0.01).all()


def test_the_climatology_behind_the_anomalies_is_found():
    made = index.table(900)
    cpc = Cpc(made)
    # both columns are rounded to one decimal
    assert np.abs(made.sst - made.anomaly - cpc.climatology(cpc.starts)).max() < 0.12
    with pytest.raises(ValueError, match="not in the table"):
        cpc.anomaly(cpc.starts[-1:] + np.timedelta64(7, "D"))
