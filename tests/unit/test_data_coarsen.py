"""Grid geometry and coarsening."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from podnas.data import coarsen, grid, remap
from podnas.data.stored import Packing

PLAIN = Packing((np.nan, np.nan), 1.0, 0.0)


def block_mean(field, factor, share, packing=PLAIN, beyond=False):
    """A field (lat, lon) coarsened by the functions that the reader uses."""
    weight = grid.cell_area(field["lat"].values, field["lon"].values).values[:, 0]
    target = coarsen.divide(weight, field.shape[1], factor, share, beyond)
    mean = target.mean()
    target.add(field.values, packing, mean)
    axes = [coarsen.centres(field[name].values, factor) for name in ("lat", "lon")]
    return make(mean.result(1), *axes)


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
    coarse = block_mean(field, factor, 0.5)
    assert coarse.shape == tuple(size // factor for size in field.shape)
    # the centre of a coarse cell is the mean of the centres, so coarse edges are fine edges and areas add up
    fine, rough = (grid.cell_area(f["lat"].values, f["lon"].values) for f in (field, coarse))
    assert float(rough.sum()) == pytest.approx(float(fine.sum()), rel=1e-9)
    # the result is float32
    assert area_mean(coarse) == pytest.approx(area_mean(field), rel=1e-6)


@given(fields(), st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_a_coarse_cell_is_valid_exactly_where_enough_of_its_area_is(case, share):
    field, factor = case
    gaps = np.random.default_rng(field.size).random(field.shape) < 0.5
    coarse = block_mean(field.where(~gaps), factor, share)
    area = grid.cell_area(field["lat"].values, field["lon"].values).values
    blocks = (field.shape[0] // factor, factor, field.shape[1] // factor, factor)
    held = (area * ~gaps).reshape(blocks).sum(axis=(1, 3)) / area.reshape(blocks).sum(axis=(1, 3))
    clear = np.abs(held - share) > 1e-6
    np.testing.assert_array_equal(np.isfinite(coarse.values)[clear], (held >= share)[clear])


def test_block_mean_by_hand():
    # two columns alike, rows centred on 0 and 60 degrees with edges -30, 30, 90:
    # sin 30 - sin -30 = 1 and sin 90 - sin 30 = 1/2, so the weights are 2 : 1 and the mean (2 * 3 + 9) / 3 = 5
    field = make([[3.0, 3.0], [9.0, 9.0]], [0.0, 60.0], [10.0, 20.0])
    coarse = block_mean(field, 2, 1.0)
    assert coarse.values == pytest.approx(5.0)
    assert (float(coarse["lat"][0]), float(coarse["lon"][0])) == (30, 15)
    # without the northern row two thirds of the area are left
    gappy = field.where(field < 5)
    assert block_mean(gappy, 2, 0.66).values == pytest.approx(3.0)
    assert np.isnan(block_mean(gappy, 2, 0.67).values)


def test_factor_one_changes_nothing():
    field = make(np.arange(24, dtype="f4").reshape(4, 6) / 7, np.arange(4.0), np.arange(6.0))
    np.testing.assert_array_equal(block_mean(field, 1, 0.5), field)


@pytest.mark.parametrize("stored", ["i1", "i2", "i4", "f4", "f8"])
def test_packed_numbers_are_added_exactly_whatever_their_type(stored):
    # with weights of one, a mean of integers is their exact sum over their number
    numbers = np.random.default_rng(3).integers(-100, 100, (20, 30)).astype(stored)
    fill = numbers.dtype.type(-128)
    numbers[3, 4] = numbers[17, 29] = fill
    target = coarsen.divide(np.ones(20), 30, 10, 0.1, False)
    mean = target.mean()
    found = target.add(numbers, Packing((fill, fill), 0.5, 3.0), mean)
    tiles = numbers.astype("i8").reshape(2, 10, 3, 10).swapaxes(1, 2).reshape(2, 3, 100)
    valid = tiles != -128
    expected = 0.5 * (np.where(valid, tiles, 0).sum(axis=2) / valid.sum(axis=2)) + 3.0
    np.testing.assert_array_equal(mean.total, expected)
    assert found == (expected.min(), expected.max())
    np.testing.assert_array_equal(mean.held, 1)


def test_large_packed_numbers_do_not_overflow():
    numbers = np.full((90, 90), 32767, "i2")
    target = coarsen.divide(np.ones(90), 90, 90, 1.0, False)
    mean = target.mean()
    target.add(numbers, Packing((np.int16(-999), np.int16(-999)), 1.0, 0.0), mean)
    assert mean.total[0, 0] == 32767


def test_cells_beyond_the_edge_count_as_missing():
    field = make(np.arange(35.0).reshape(5, 7), np.arange(5.0), np.arange(7.0))
    coarse = block_mean(field, 3, 0.3, beyond=True)
    assert coarse.shape == (2, 3)
    np.testing.assert_allclose(coarse["lat"], [1, 4])
    np.testing.assert_allclose(coarse["lon"], [1, 4, 7])
    # the last column of cells has one of three columns, and in the last row two of nine cells: less than .3
    assert coarse.values[0, 2] == pytest.approx(13.0, abs=0.01)  # 6, 13, 20; areas of rows differ by 1e-4
    assert np.isnan(coarse.values[1, 2])


def remapped(field, size, share=0.5):
    target = remap.overlaps(field["lat"].values, field["lon"].values, size, share, True)
    mean = target.mean()
    target.add(field.values, PLAIN, mean)
    return make(mean.result(1), target.rows, target.columns)


@given(fields())
@settings(max_examples=40, deadline=None)
def test_remapping_to_a_whole_number_of_cells_is_coarsening(case):
    field, factor = case
    size = factor * abs(float(field["lat"][1] - field["lat"][0]))
    coarse, expected = remapped(field, size), block_mean(field, factor, 0.5)
    np.testing.assert_allclose(coarse, expected, rtol=1e-6)
    np.testing.assert_allclose(coarse["lat"], expected["lat"], atol=1e-9)
    np.testing.assert_allclose(coarse["lon"], expected["lon"], atol=1e-9)


@pytest.mark.parametrize("size", [1.5, 2.5, 4.5])
def test_remapping_the_globe_to_any_cells_that_fill_it_conserves_the_area_mean(size):
    lat, lon = np.arange(-89.5, 90), np.arange(0.5, 360)
    field = make(np.random.default_rng(1).uniform(-2, 35, (180, 360)), lat, lon)
    assert area_mean(remapped(field, size)) == pytest.approx(area_mean(field), rel=1e-6)


def test_remapping_by_hand():
    # rows alike; columns of 1 degree hold 0, 1, 2: cells of 1.5 degrees hold (0 + 1 / 2) / 1.5 and (1 / 2 + 2) / 1.5
    field = make([[0.0, 1.0, 2.0]] * 3, [-1.0, 0.0, 1.0], [0.5, 1.5, 2.5])
    np.testing.assert_allclose(remapped(field, 1.5), [[1 / 3, 5 / 3]] * 2, rtol=1e-6)
    with pytest.raises(ValueError, match=r"field\.cell_size is smaller than the rows of the input, 1 wide"):
        remapped(field, 0.5)


def test_a_factor_that_does_not_divide_is_refused():
    field = make(np.ones((4, 6)), np.arange(4.0), np.arange(6.0))
    with pytest.raises(
        ValueError, match=r"field\.coarsen is 4, but the selected grid has 4 x 6 cells.*choose a divisor"
    ):
        block_mean(field, 4, 0.5)


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
