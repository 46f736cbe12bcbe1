"""Grid geometry and coarsening."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas.data import coarsen, grid


def make(values, lat, lon):
    return xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon"))


@st.composite
def fields(draw):
    """A field without gaps on a regular grid somewhere on the globe, and a factor that divides it."""
    factor = draw(st.integers(2, 4))
    rows, columns = (factor * draw(st.integers(2, 4)) for _ in range(2))
    step = draw(st.sampled_from([0.25, 1.0, 2.5]))
    south = draw(st.floats(-89, 89 - step * rows)) + step / 2
    lat, lon = south + step * np.arange(rows), 0.5 + step * np.arange(columns)
    if draw(st.booleans()):
        lat = lat[::-1]
    seed = draw(st.integers(0, 2**16))
    values = np.random.default_rng(seed).uniform(-2, 35, (rows, columns))
    return make(values, lat, lon), factor


def area_mean(field):
    area = grid.cell_area(field["lat"].values, field["lon"].values)
    return float((field * area).sum() / area.where(np.isfinite(field)).sum())


@given(fields())
@settings(max_examples=60, deadline=None)
def test_coarsening_conserves_the_area_mean_and_the_area(case):
    field, factor = case
    coarse = coarsen.block_mean(field, factor, 0.5)
    assert coarse.shape == tuple(size // factor for size in field.shape)
    # the centre of a coarse cell is the mean of the centres, so coarse edges are fine edges and areas add up
    fine, rough = (grid.cell_area(f["lat"].values, f["lon"].values) for f in (field, coarse))
    assert float(rough.sum()) == pytest.approx(float(fine.sum()), rel=1e-9)
    assert area_mean(coarse) == pytest.approx(area_mean(field), rel=1e-9)


@given(fields(), st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_a_coarse_cell_is_valid_exactly_where_enough_of_its_area_is(case, share):
    field, factor = case
    gaps = np.random.default_rng(field.size).random(field.shape) < 0.5
    coarse = coarsen.block_mean(field.where(~gaps), factor, share)
    area = grid.cell_area(field["lat"].values, field["lon"].values).values
    blocks = (field.shape[0] // factor, factor, field.shape[1] // factor, factor)
    held = (area * ~gaps).reshape(blocks).sum(axis=(1, 3)) / area.reshape(blocks).sum(axis=(1, 3))
    clear = np.abs(held - share) > 1e-6
    np.testing.assert_array_equal(np.isfinite(coarse.values)[clear], (held >= share)[clear])


def test_block_mean_by_hand():
    # two columns alike, rows centred on 0 and 60 degrees with edges -30, 30, 90:
    # sin 30 - sin -30 = 1 and sin 90 - sin 30 = 1/2, so the weights are 2 : 1 and the mean (2 * 3 + 9) / 3 = 5
    field = make([[3.0, 3.0], [9.0, 9.0]], [0.0, 60.0], [10.0, 20.0])
    coarse = coarsen.block_mean(field, 2, 1.0)
    assert coarse.values == pytest.approx(5.0)
    assert (float(coarse["lat"][0]), float(coarse["lon"][0])) == (30, 15)
    # without the northern row two thirds of the area are left
    gappy = field.where(field < 5)
    assert coarsen.block_mean(gappy, 2, 0.66).values == pytest.approx(3.0)
    assert np.isnan(coarsen.block_mean(gappy, 2, 0.67).values)


def test_factor_one_changes_nothing_and_leading_dimensions_stay():
    field = make(np.ones((4, 6)), np.arange(4.0), np.arange(6.0)).expand_dims(time=3)
    assert coarsen.block_mean(field, 1, 0.5) is field
    assert coarsen.block_mean(field, 2, 0.5).shape == (3, 2, 3)


def test_a_factor_that_does_not_divide_is_refused():
    field = make(np.ones((4, 6)), np.arange(4.0), np.arange(6.0))
    with pytest.raises(
        ValueError, match=r"field\.coarsen is 4, but the selected grid has 4 x 6 cells.*choose a divisor"
    ):
        coarsen.block_mean(field, 4, 0.5)


def test_cells_of_the_globe_add_up_to_the_sphere():
    area = grid.cell_area(np.arange(89.5, -90, -1), np.arange(0.5, 360))
    assert float(area.sum()) == pytest.approx(4 * np.pi * grid.EARTH_RADIUS_M**2)


LAT, LON = np.arange(-9.5, 10), np.arange(0.5, 360)


def test_box_takes_the_cells_whose_centres_lie_inside():
    box = grid.select(LAT, LON, (-5, 5), (200, 250))
    assert (box.lat.min(), box.lat.max(), box.lon.min(), box.lon.max()) == (-4.5, 4.5, 200.5, 249.5)
    np.testing.assert_array_equal(LON[box.columns], box.lon)


def test_longitudes_from_minus_180_name_the_same_cells():
    west, east = grid.select(LAT, LON, None, (-160, -110)), grid.select(LAT, LON, None, (200, 250))
    np.testing.assert_array_equal(west.columns, east.columns)


@pytest.mark.parametrize("edges", [(-10, 10), (350, 10)])
def test_a_box_across_greenwich_is_one_piece(edges):
    box = grid.select(LAT, LON, None, edges)
    np.testing.assert_array_equal(box.lon, np.arange(-9.5, 10))
    np.testing.assert_array_equal(np.mod(box.lon, 360), LON[box.columns])


def test_a_grid_from_minus_180_is_crossed_at_the_date_line():
    box = grid.select(LAT, np.arange(-179.5, 180), None, (170, 190))
    np.testing.assert_array_equal(np.mod(box.lon, 360), np.arange(170.5, 190))
    assert (np.diff(box.lon) == 1).all()


def test_the_whole_circle_may_be_given_as_edges():
    assert len(grid.select(LAT, LON, None, (0, 360)).columns) == 360
    assert len(grid.select(LAT, LON, None, (-180, 180)).columns) == 360


def test_a_box_outside_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"field\.lat \(40.*holds no cell.*-9\.5 to 9\.5"):
        grid.select(LAT, LON, (40, 50), None)
    with pytest.raises(ValueError, match="southern edge comes first"):
        grid.select(LAT, LON, (5, -5), None)


def test_a_single_row_has_no_cell_size():
    with pytest.raises(ValueError, match="single latitude, whose cell size is unknown"):
        grid.cell_area(np.array([1.0]), LON)


def test_uneven_coordinates_are_refused():
    with pytest.raises(ValueError, match="lat is not evenly spaced"):
        grid.check_regular("lat", np.array([0.0, 1.0, 3.0]))
