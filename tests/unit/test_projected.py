"""Other variables than SST, on a projected grid: POD, regions, probes and maps."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from podnas import artifacts, windows
from podnas.config import EventConfig, PodConfig, ProbeConfig, RegionConfig, VerifyConfig
from podnas.data import variables
from podnas.data.lambert import Lambert
from podnas.figures import events, maps, modes, probes, rmse_map, style
from podnas.reduction import pod
from podnas.verify import physical, scorecard
from tests import figure_inputs as made

ROWS, COLUMNS, WEEKS = 6, 8, 40
Y, X = 5e5 - 1e5 * np.arange(ROWS), 1.5e6 + 1e5 * np.arange(COLUMNS)
CONFIG = PodConfig(modes=2, train_last="2030-01-01")
BOTH = ("recurrent_ensemble", "damped_persistence")


def field(name: str = "tmax") -> xr.Dataset:
    """Two waves of area-weighted rank 2 and noise; the first column has no values."""
    random = np.random.default_rng(2)
    lat, lon = Lambert().geographic(Y[:, None], X[None, :])
    values = 10 + random.normal(size=(WEEKS, 2)) @ random.normal(size=(2, ROWS * COLUMNS))
    values = (values + 0.1 * random.normal(size=values.shape)).reshape(WEEKS, ROWS, COLUMNS).astype("f4")
    values[:, :, 0] = np.nan
    time = pd.date_range("2000-01-01", periods=WEEKS, freq="7D")
    return xr.Dataset(
        {
            name: (("time", "y", "x"), values, {"units": artifacts.UNITS[name]}),
            "segment": ("time", np.zeros(WEEKS, "i4")),
        },
        {
            "time": time,
            "y": Y,
            "x": X,
            "lat": (("y", "x"), lat),
            "lon": (("y", "x"), lon),
            "lambert_conformal_conic": ((), 0),
            "cell_area": (("y", "x"), Lambert().cell_area(Y, X), {"units": "m2"}),
            "time_bounds": (("time", "bounds"), np.stack([time, time + pd.Timedelta(days=7)], axis=1)),
        },
        {"data_kind": "twin", "title": "made up"},
    )


def named_sst(other: xr.Dataset) -> xr.Dataset:
    """The same numbers as sea-surface temperature on a regular grid."""
    lat, lon = np.arange(ROWS, dtype="f8"), np.arange(COLUMNS, dtype="f8")
    same = other.drop_vars(["lat", "lon", "y", "x", "lambert_conformal_conic"]).rename(tmax="sst")
    return same.rename_dims(y="lat", x="lon").assign_coords(lat=lat, lon=lon)


@pytest.fixture(scope="module")
def basis():
    return pod.fit(field(), CONFIG)


@pytest.fixture(scope="module")
def truth(basis):
    return physical.Truth(field(), basis, field()["time"].values)


def forecasts(basis: xr.Dataset) -> dict[str, xr.DataArray]:
    """The truth's own coefficients, and none at all, one and two weeks ahead."""
    known = pod.project(field(), basis)["coefficient"]
    coords = {"init_time": known["time"].values[:-2], "lead": [1, 2], "mode": known["mode"]}
    at = np.arange(WEEKS - 2)[:, None] + [1, 2]
    valid = (("init_time", "lead"), known["time"].values[at])
    made_of = {"recurrent_ensemble": known.values[at], "climatology": np.zeros((WEEKS - 2, 2, 2))}
    return {
        name: xr.DataArray(values, {**coords, "valid_time": valid}, ("init_time", "lead", "mode"))
        for name, values in made_of.items()
    }


@pytest.mark.parametrize(("name", "squared"), [("tmax", "degree_Celsius2"), ("prcp", "(mm day-1)2")])
def test_basis_and_coefficients_have_the_units_of_the_field(tmp_path, name, squared):
    weekly = field(name)
    found = pod.fit(weekly, CONFIG)
    coefficients = pod.project(weekly, found)
    units = artifacts.UNITS[name]
    assert (found["mean"].attrs["units"], found["variance"].attrs["units"]) == (units, squared)
    assert coefficients["coefficient"].attrs["units"] == coefficients["truncation_rmse"].attrs["units"] == units
    assert set(coefficients.coords) == {"time", "mode", "time_bounds"}
    artifacts.write_basis(tmp_path / "basis.nc", found)
    back = artifacts.read_basis(tmp_path / "basis.nc")
    assert back["modes"].dims == ("mode", "y", "x")
    np.testing.assert_array_equal(back["lat"], weekly["lat"])
    assert "lambert_conformal_conic" in back.coords
    assert variables.of(back).name == name


def test_numbers_do_not_depend_on_names_and_grid(basis):
    same = pod.fit(named_sst(field()), CONFIG)
    np.testing.assert_array_equal(basis["modes"], same["modes"])
    np.testing.assert_array_equal(basis["spectrum"], same["spectrum"])


def test_field_on_disk_and_in_memory_give_one_basis(tmp_path, basis):
    artifacts.write_field(tmp_path / "field.nc", field())
    with artifacts.open_field(tmp_path / "field.nc") as opened:
        again = pod.fit(opened, CONFIG)
    np.testing.assert_allclose(again["modes"], basis["modes"], atol=1e-12)
    np.testing.assert_array_equal(again["lon"], basis["lon"])


def test_a_field_of_another_variable_is_refused(basis):
    with pytest.raises(ValueError, match="the field holds prcp, but the basis is of tmax; fit the basis on this field"):
        pod.project(field("prcp"), basis)
    later = field("prcp").assign_coords(time=field()["time"] + np.timedelta64(7 * WEEKS, "D"))
    with pytest.raises(ValueError, match=r"holds prcp, but .* holds tmax; reduce one at a time"):
        pod.fit([field(), later], CONFIG)


def test_a_field_in_other_units_is_refused(tmp_path):
    weekly = field("prcp")
    weekly["prcp"].attrs["units"] = "mm"
    with pytest.raises(artifacts.ArtifactError, match="prcp is in mm, not in mm day-1"):
        artifacts.write_field(tmp_path / "field.nc", weekly)


def test_a_region_holds_the_cells_whose_places_lie_in_its_box(basis, truth):
    weekly, given = field(), forecasts(basis)
    middle = float(weekly["lat"].median())
    region = RegionConfig(name="south", lat=(0, middle), lon=(-180, 0), label="South")
    leads = given["climatology"].lead.values
    table = physical.region_table(physical.errors(truth, given, [region]), leads)
    table = table.set_index(["method", "metric", "lead"])["value"]
    inside = (weekly["lat"] <= middle).values & np.isfinite(weekly["tmax"].values[0])
    # a row holds cells on both sides of the box's edge: rows and columns alone could not choose them
    assert any(0 < row.sum() < COLUMNS - 1 for row in inside)
    error = (basis["mean"].values - weekly["tmax"].values[2:])[:, inside]
    weight = weekly["cell_area"].values[inside] / weekly["cell_area"].values[inside].sum()
    assert table["climatology", "rmse_field", 2] == pytest.approx(np.sqrt((error**2 @ weight).mean()), rel=1e-5)
    assert table["climatology", "rmse_area_mean", 2] == pytest.approx(np.sqrt(((error @ weight) ** 2).mean()), rel=1e-5)
    assert table["recurrent_ensemble", "rmse_field", 2] < 0.2


@pytest.mark.parametrize(("west", "east"), [(-180, 180), (260, 330), (-100, -30)])
def test_longitudes_of_a_region_may_be_counted_either_way(truth, west, east):
    region = RegionConfig(name="all", lat=(0, 90), lon=(west, east), label="All")
    assert physical.inside(truth, region).all()


def test_regions_without_cells_are_named(truth):
    here = RegionConfig(name="pacific", lat=(-10, 10), lon=(150, 200), label="Pacific")
    with pytest.raises(ValueError, match=r"verify.regions, pacific: the box .* holds no cell of the grid"):
        physical.inside(truth, here)
    place = {axis: float(field()[axis][0, 0]) for axis in ("lat", "lon")}
    box = {axis: (centre - 0.1, centre + 0.1) for axis, centre in place.items()}
    with pytest.raises(ValueError, match=r"verify.regions, empty: no cell of the box .* has values"):
        physical.inside(truth, RegionConfig(name="empty", label="Empty", **box))


def test_maps_events_and_probes_lie_on_the_grid_of_the_field(tmp_path, basis, truth):
    weekly = field()
    lat, lon = (float(weekly[axis][3, 5]) for axis in ("lat", "lon"))
    config = VerifyConfig(
        map_lead_weeks=2,
        events=(EventConfig(name="one", week="2000-03-20", label="One"),),
        probes=(ProbeConfig(name="here", lat=lat + 0.01, lon=lon + 360, label="Here"),),
    )
    found = physical.maps(truth, forecasts(basis), config)
    artifacts.write_maps(tmp_path / "maps.nc", found)
    found = artifacts.read_maps(tmp_path / "maps.nc")
    assert found["rmse"].dims == ("method", "y", "x")
    assert found["event_truth"].dims == ("event", "y", "x")
    assert found.attrs["variable"] == "tmax"
    assert float(found["probe_lat"][0]) == pytest.approx(lat)
    np.testing.assert_allclose(found["probe_truth"][0], weekly["tmax"].values[2:, 3, 5], rtol=1e-5)
    error = basis["mean"].values - weekly["tmax"].values[2:]
    expected = np.sqrt((error**2).mean(axis=0))
    np.testing.assert_allclose(found["rmse"].sel({"method": "climatology"}), expected, rtol=1e-3)
    week = int(np.flatnonzero(weekly["time"].values <= np.datetime64("2000-03-20"))[-1])
    np.testing.assert_allclose(found["event_truth"][0], weekly["tmax"].values[week], rtol=1e-5)


# figures


def drawn(name: str, variable: str):
    stamps = [made.STAMP]
    known = made.projected(made.basis(made.BOX) if name == "modes" else made.maps(made.BOX), variable)
    return {
        "modes": lambda: modes.draw(known, stamps),
        "rmse_map": lambda: rmse_map.draw(known, *BOTH, stamps),
        "events": lambda: events.draw(known, BOTH[0], stamps),
        "probes": lambda: probes.draw(known, BOTH, stamps),
    }[name]()


def texts(figure) -> str:
    with style.context():
        figure.draw_without_rendering()
    shown = [axes.get_title(loc="left") for axes in figure.axes]
    return " | ".join([*shown, *(label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel()))])


@pytest.mark.parametrize("name", ["modes", "rmse_map", "events", "probes"])
@pytest.mark.parametrize(("variable", "unit"), [("tmax", "°C"), ("prcp", "mm day⁻¹")])
def test_labels_name_the_variable_and_its_units(name, variable, unit):
    words = texts(drawn(name, variable))
    assert unit in words
    assert "SST" not in words
    assert ("°C" in words) == (unit == "°C")
    if name != "rmse_map":
        assert variable in words


def test_a_projected_map_has_its_own_shape_and_a_graticule():
    known = made.projected(made.basis(made.BOX))["mean"]
    shape = maps.frame(known)
    # cells of 100 km: as wide as high, with the borders half a cell out
    assert shape.aspect == pytest.approx(len(made.BOX.lon) / len(made.BOX.lat))
    assert (shape.x[0], shape.x[1]) == (1450, 1550)
    figure = drawn("modes", "tmax")
    with style.context():
        figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.get_aspect() == 1
    assert (*axes.get_xlim(), *axes.get_ylim()) == (*shape.x[[0, -1]], *shape.y[[0, -1]])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) >= 2
    assert all(name.endswith("°N") for name in names)
    # the name of a parallel stands where the left edge has that latitude
    y = axes.get_yticks()[0] * 1000
    lat, _ = Lambert().geographic(np.array([[y]]), np.array([[1.45e6]]))
    assert float(lat[0, 0]) == pytest.approx(float(names[0].removesuffix("°N")), abs=0.05)


def test_values_stay_in_their_cells():
    known = made.projected(made.basis(made.BOX))["mean"]
    ready = maps.prepare(known)
    assert (np.diff(ready["y"]) > 0).all()
    np.testing.assert_array_equal(ready.values[::-1], known.values)
    np.testing.assert_array_equal(ready["lat"].values[::-1], known["lat"].values)


def test_parallels_that_only_meet_the_upper_edge_are_named_there():
    rows, columns = 40, 40
    y, x = 4.8e6 - 2e5 * np.arange(rows), -3.9e6 + 2e5 * np.arange(columns)
    lat, lon = Lambert().geographic(y[:, None], x[None, :])
    places = {"y": y, "x": x, "lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    ones = xr.DataArray(np.ones((rows, columns)), places, ("y", "x"))
    axes = Figure().subplots()
    maps.draw(axes, ones, style.SEQUENTIAL, maps.between(ones))
    at_left = {label.get_text() for label in axes.get_yticklabels()}
    above = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert at_left
    assert above
    assert not at_left & set(above)
    for name, place in above.items():
        assert x[0] / 1000 < place < x[-1] / 1000
        # half a cell above the first row's centres
        found, _ = Lambert().geographic(np.array([[y[0] + 1e5]]), np.array([[place * 1000]]))
        assert float(found[0, 0]) == pytest.approx(float(name.removesuffix("°N")), abs=3)


# texts


@pytest.mark.parametrize(
    ("units", "shown"),
    [("degree_Celsius", "°C"), ("degC", "°C"), ("W m-2", "W m⁻²"), ("kg m-2", "kg m⁻²"), ("Pa", "Pa"), ("1", "1")],
)
def test_units_as_they_are_printed(units, shown):
    assert variables.printed(units) == shown


def test_what_is_read_from_files_says_what_it_is():
    training = xr.Dataset(attrs={"data_kind": "twin", "windows_across_joins": 0}).assign_coords(init_time=range(3))
    stamp = windows.stamped({"coefficients": windows.PROJECTED}, training, training)
    assert (stamp["data_kind"], stamp["coefficients"]) == ("twin", "projected from the twin field")
    released = windows.stamped({"coefficients": "real, as released"}, training, training)
    assert released["coefficients"] == "real, as released"


def test_scorecard_gives_errors_in_the_units_of_the_variable():
    table = pd.DataFrame({"method": ["a"], "metric": ["rmse_field"], "lead": [1], "region": ["all"], "value": [2.0]})
    stamp = {"data_kind": "real", "variable": "prcp"}
    less = {"difference": -0.5, "low": -1.0, "high": -0.25, "verdict": "better"}
    found = {"block_weeks": 52, "best_baseline": "b", "differences": {"a": {"b": [less]}}}
    regions = {"all": {"rmse_field": found}}
    page = scorecard._regions({"name": "p", "table": table, "stamp": stamp, "regions": regions})
    assert "RMSE of the field (mm day⁻¹) by lead" in page
    assert "`a` less each baseline by lead" in page
    assert "-0.500 [-1.000, -0.250] better" in page
    catalogue = {"recurrent_ensemble": [{"members": [], "search_seconds": 1.0, "trials": 1}]}
    assert "HYCOM" not in scorecard._costs(catalogue, stamp)
    assert "HYCOM" in scorecard._costs(catalogue, {"data_kind": "real"})
