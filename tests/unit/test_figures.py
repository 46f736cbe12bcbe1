"""Figures: what is drawn, what is printed, and that nothing is printed over anything else."""

import itertools
from datetime import date

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from podnas.config import BASELINES
from podnas.figures import (
    architectures,
    coefficients,
    differences,
    events,
    maps,
    methods,
    modes,
    pareto,
    probes,
    rmse_map,
    skill,
    spectrum,
    style,
    timelines,
    trajectory,
    transfer,
    two_step,
)
from podnas.networks import space
from podnas.verify import reported
from tests import figure_inputs as made

BOTH = ("recurrent_ensemble", "damped_persistence")
REAL = {**made.STAMP, "data_kind": "real", "coefficients": "projected from the real field"}


def draw_coefficients(shape):
    known = made.coefficients(shape)
    given = {name: made.forecasts(known, shape.leads, seed=seed) for seed, name in enumerate(BOTH)}
    return coefficients.draw(known, given, shape.leads, [made.STAMP])


def draw_architectures(shape):
    chosen = architectures.pictures(made.trials(), 3, seed=0)
    return architectures.draw(chosen, shape.modes + 8, shape.modes, [made.STAMP])


DRAWN = {
    "spectrum": lambda shape: spectrum.draw(made.basis(shape), [made.STAMP, {**made.STAMP, "protocol": "long"}]),
    "modes": lambda shape: modes.draw(made.basis(shape), [made.STAMP]),
    "coefficients": draw_coefficients,
    "skill": lambda shape: skill.draw(made.scores(shape), [made.STAMP]),
    "trajectory": lambda shape: trajectory.draw(made.trials(), [made.STAMP]),
    "architectures": draw_architectures,
    "two_step": lambda shape: two_step.draw({p: made.trials(60, second=60) for p in (0.5, 0.1)}, [made.STAMP]),
    "pareto": lambda shape: pareto.draw(made.trials(second=0), "parameters", [made.STAMP]),
    "events": lambda shape: events.draw(made.maps(shape), BOTH[0], [made.STAMP]),
    "rmse_map": lambda shape: rmse_map.draw(made.maps(shape), *BOTH, [made.STAMP]),
    "probes": lambda shape: probes.draw(made.maps(shape), BOTH, [made.STAMP]),
    "methods": lambda shape: methods.draw(made.scores(shape), reported.SC20, [made.STAMP]),
    "transfer": lambda shape: transfer.draw(made.transfer(shape)),
    "differences": lambda _: differences.draw(made.differences()),
}
# number of panels, colour bars left out: globe of 5 modes and 8 leads, box of 3 modes, 1 mode and 1 lead
PANELS = {
    "spectrum": (2, 2, 2),
    "modes": (6, 4, 2),
    "coefficients": (10, 6, 2),
    "skill": (8, 6, 3),
    "trajectory": (2, 2, 2),
    "architectures": (6, 6, 6),
    "two_step": (4, 4, 4),
    "pareto": (1, 1, 1),
    "events": (6, 6, 6),
    "rmse_map": (3, 3, 3),
    "probes": (6, 6, 6),
    "methods": (2, 2, 2),
    "transfer": (4, 4, 4),
    "differences": (2, 2, 2),
}
SHAPES = {"globe": made.GLOBE, "box": made.BOX, "least": made.LEAST}
# the box for what is drawn as maps or by mode, the least shape for what hangs on leads and modes
ELSEWHERE = {
    "modes": (1, 2),
    "coefficients": (1, 2),
    "skill": (1, 2),
    "events": (1,),
    "rmse_map": (1,),
    "methods": (2,),
    "transfer": (2,),
}
KEYS = [(name, place) for name in DRAWN for place in (0, *ELSEWHERE.get(name, ()))]
CASES = [pytest.param(name, place, id=f"{name}-{list(SHAPES)[place]}") for name, place in KEYS]


@pytest.fixture(scope="module")
def drawn():
    """Each figure in each shape, laid out once."""
    figures = {}
    for name, place in KEYS:
        figure = DRAWN[name](list(SHAPES.values())[place])
        with style.context():
            figure.draw_without_rendering()
        figures[name, place] = figure
    return figures


def titles(figure: Figure) -> list[Text]:
    return [axes._left_title for axes in figure.axes if axes.get_title(loc="left")]


def printed(figure: Figure) -> list[Text]:
    """All visible texts but the footer."""
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    hidden = {
        tick for axes in figure.axes if not axes.axison for tick in axes.get_xticklabels() + axes.get_yticklabels()
    }
    return [text for text in texts if text.get_gid() != style.FOOTER and text not in hidden]


def box(text: Text):
    return text.get_window_extent()


def overlap(one, two) -> bool:
    return one.x0 < two.x1 and two.x0 < one.x1 and one.y0 < two.y1 and two.y0 < one.y1


@pytest.mark.parametrize(("name", "place"), CASES)
def test_has_its_panels_each_with_a_letter(drawn, name, place):
    figure = drawn[name, place]
    assert len(titles(figure)) == PANELS[name][place]
    letters = [text.get_text().split("  ")[0] for text in titles(figure)]
    assert sorted(letters) == [rf"$\bf{{{chr(97 + number)}}}$" for number in range(len(letters))]


@pytest.mark.parametrize(("name", "place"), CASES)
def test_footer_says_data_protocol_dates_windows_seeds(drawn, name, place):
    text = style.footer(drawn[name, place]).replace("\n", " · ")
    assert "Data: twin" in text
    for words in (
        "coefficients real, as released",
        "experiment made_up",
        "Protocol short",
        "train 1981-10-29 to 1989-12-28 (412 windows)",
        "test 1989-12-31 to 1995-06-25 (270 windows)",
        "seeds: search 0, ensemble 1",
    ):
        assert words in text
    assert ("maps are estimates" in text) == (name in ("modes", "events", "rmse_map", "probes"))


@pytest.mark.parametrize(("name", "place"), CASES)
def test_nothing_is_printed_over_the_footer_or_off_the_page(drawn, name, place):
    figure = drawn[name, place]
    foot = next(text for text in figure.texts if text.get_gid() == style.FOOTER)
    page = figure.bbox
    assert foot.get_window_extent().x1 <= page.x1
    for axes in figure.axes:
        extent = axes.get_tightbbox()
        # an axis that is switched off draws nothing of its own
        assert not axes.axison or not overlap(extent, box(foot)), axes.get_title(loc="left")
    for legend in figure.legends:
        assert not overlap(legend.get_window_extent(), box(foot))
    for text in titles(figure):
        extent = box(text)
        assert extent.x0 >= page.x0
        assert extent.x1 <= page.x1 + 1
        assert extent.y1 <= page.y1


@pytest.mark.parametrize(("name", "place"), CASES)
def test_titles_and_legends_keep_apart(drawn, name, place):
    figure = drawn[name, place]
    extents = [box(text) for text in titles(figure)] + [legend.get_window_extent() for legend in figure.legends]
    for one, two in itertools.combinations(extents, 2):
        assert not overlap(one, two)


def test_real_maps_are_not_called_estimates():
    figure = modes.draw(made.basis(made.BOX), [REAL])
    assert "Data: real · " in style.footer(figure)
    assert "estimates" not in style.footer(figure)


def test_spectrum_has_a_line_for_every_protocol(drawn):
    assert [line.split(" ")[1] for line in style.footer(drawn["spectrum", 0]).splitlines()[1:]] == ["short", "long"]


def test_an_incomplete_stamp_is_refused():
    stamp = {key: value for key, value in made.STAMP.items() if key != "seeds"}
    with pytest.raises(ValueError, match="attribute seeds is missing"):
        trajectory.draw(made.trials(), [stamp])


def test_same_figure_same_bytes(tmp_path):
    for name in ("one.png", "two.png"):
        style.save(trajectory.draw(made.trials(), [made.STAMP]), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_every_method_has_a_look_of_its_own():
    looks = style.styles([*BASELINES, *made.METHODS])
    assert len({(look.color, look.marker) for look in looks.values()}) == len(looks)
    assert list(looks)[-4:] == [
        "recurrent_ensemble", "recurrent_anomaly_ensemble", "correction_ensemble", "complete_system",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"no style for method oracle; add it to METHODS"):
        style.styles(["oracle"])


def test_manual_networks_are_ordered_by_width():
    assert [look.label for look in style.styles(["lstm_200", "lstm_40"]).values()] == ["LSTM 40", "LSTM 200"]


def test_diverging_palette_is_light_in_the_middle_and_even_on_both_sides():
    def grey(value):
        return float(np.dot(style.DIVERGING(value)[:3], (0.299, 0.587, 0.114)))

    half = [grey(value) for value in np.linspace(0, 0.5, 20)]
    other = [grey(value) for value in np.linspace(1, 0.5, 20)]
    assert half == sorted(half)
    assert other == sorted(other)
    np.testing.assert_allclose(half, other, atol=0.1)
    # the middle is not taken for land
    assert grey(0.5) - np.dot(to_rgb(style.LAND), (0.299, 0.587, 0.114)) > 0.1


# maps


def test_globe_is_cut_in_africa_whatever_the_order_of_the_file():
    lon = np.arange(-177.5, 180, 5.0)
    field = xr.DataArray(np.tile(lon, (3, 1)), coords={"lat": [5.0, 0.0, -5.0], "lon": lon}, dims=("lat", "lon"))
    ready = maps.prepare(field)
    assert ready.lon[0] == 22.5
    assert ready.lon[-1] == 377.5
    assert list(ready.lat) == [-5, 0, 5]
    # values moved with their coordinates: 22.5 E first, 17.5 E last
    assert ready.values[0, [0, -1]].tolist() == [22.5, 17.5]


def test_a_box_across_greenwich_stays_in_one_piece():
    lon = np.array([357.5, 358.5, 359.5, 0.5, 1.5])
    field = xr.DataArray(np.zeros((1, 5)), coords={"lat": [50.0], "lon": lon}, dims=("lat", "lon"))
    assert np.diff(maps.prepare(field).lon).tolist() == [1, 1, 1, 1]


def test_edges_lie_midway():
    assert maps.edges(np.array([1.0, 2.0, 4.0])).tolist() == [0.5, 1.5, 3.0, 5.0]
    assert maps.edges(np.array([10.0])).tolist() == [9.5, 10.5]


def test_coast_follows_the_cells():
    # one land cell in the middle of 3 x 3 has four sides of coast
    values = np.ones((3, 3))
    values[1, 1] = np.nan
    field = xr.DataArray(values, coords={"lat": [0.0, 1, 2], "lon": [10.0, 11, 12]}, dims=("lat", "lon"))
    axes = Figure().subplots()
    maps.draw(axes, field, style.SEQUENTIAL, maps.between(field))
    (coast,) = [drawn for drawn in axes.collections if drawn.get_label() == "coast"]
    corners = {tuple(point) for segment in coast.get_segments() for point in segment.tolist()}
    assert len(coast.get_segments()) == 4
    assert corners == {(10.5, 0.5), (11.5, 0.5), (10.5, 1.5), (11.5, 1.5)}


@pytest.mark.parametrize(
    ("lon", "name"), [(60, "60°E"), (180, "180°"), (240, "120°W"), (360, "0°"), (78.5, "78.5°E"), (-30, "30°W")]
)
def test_names_of_meridians(lon, name):
    assert maps.meridian(lon) == name


@pytest.mark.parametrize(("lat", "name"), [(-60, "60°S"), (0, "0°"), (7.5, "7.5°N")])
def test_names_of_parallels(lat, name):
    assert maps.parallel(lat) == name


@pytest.mark.parametrize(("value", "rounded"), [(0.11, 0.15), (1.0, 1.0), (2.2, 2.5), (7.1, 8.0), (0, 1.0), (96, 100)])
def test_ends_of_scales_are_round(value, rounded):
    assert maps.round_up(value) == pytest.approx(rounded)


@pytest.mark.parametrize("aspect", [0.3, 0.7, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 12])
def test_plans_hold_all_maps_and_fit_a_page(count, aspect):
    plan = maps.plan(count, aspect)
    assert plan.rows * plan.columns >= count
    assert plan.width <= style.WIDTH_INCHES + 1e-9
    assert plan.height <= style.HIGHEST_INCHES
    assert plan.map_width / plan.map_height == pytest.approx(aspect)


def test_many_events_make_a_long_figure_of_readable_maps():
    plan = maps.plan(3 * 12, 2.0, columns=(12, 3), bar=False)
    assert plan.columns == 3
    assert plan.map_height >= 0.9


def test_many_modes_are_cut_and_the_cut_is_told():
    shape = made.Shape(made.BOX.lat, made.BOX.lon, modes=14)
    figure = modes.draw(made.basis(shape), [REAL])
    assert len(titles(figure)) == 1 + modes.MOST_MODES
    assert "first 11 of 14 modes" in titles(figure)[0].get_text().replace("\n", " ")


def test_shares_say_of_what():
    basis = made.basis(made.BOX)
    assert modes.share(basis.isel(mode=0), 0) == "59.7 % of variance"
    basis["spectrum"].attrs["long_name"] = "share of the leading modes"
    assert modes.share(basis.isel(mode=0), 0) == "59.7 % of the leading modes"


def test_events_are_drawn_less_climatology():
    maps_ = made.maps(made.BOX, events=1)
    first, second, error = events._views(maps_.isel(event=0), BOTH[0])
    truth, known = maps_["event_truth"][0], maps_["event_forecast"][0]
    xr.testing.assert_allclose(first, truth - known[2], check_dim_order=False)
    np.testing.assert_allclose(second.values, (known[0] - known[2]).values)
    np.testing.assert_allclose(error.values, (second - first).values)


# time


def test_lines_do_not_cross_gaps():
    time = np.array(["2000-01-02", "2000-01-09", "2000-02-06"], "datetime64[ns]")
    times, values = timelines.joined(xr.DataArray([1.0, 2.0, 3.0], coords={"time": time}, dims="time"))
    assert np.isnan(values).tolist() == [False, False, True, False]
    assert times[2] == np.datetime64("2000-01-16")


def test_the_step_between_the_archives_is_no_gap():
    time = np.array(["1989-12-28", "1989-12-31"], "datetime64[ns]")
    assert timelines.joined(xr.DataArray([1.0, 2.0], coords={"time": time}, dims="time"))[1].tolist() == [1, 2]


def test_periods_are_read_from_the_stamp():
    periods = timelines.Periods.of(made.STAMP)
    assert periods.train.tolist() == np.array(["1981-10-29", "1989-12-28"], "datetime64[ns]").tolist()
    assert periods.test[0].astype("datetime64[D]").item() == date(1989, 12, 31)


def test_forecasts_stand_at_their_valid_time():
    known = made.coefficients(made.BOX)
    series = coefficients._at(made.forecasts(known, 8, noise=0.0), lead_weeks=5, mode=2)
    expected = known["coefficient"].sel(mode=2).reindex(time=series["time"])
    np.testing.assert_allclose(series.values, expected.values)


# scores


@pytest.mark.parametrize(
    ("value", "text"), [(0.756, ".76"), (-0.346, "−.35"), (-0.001, ".00"), (1.0, "1.0"), (-12.3, "−12"), (np.nan, "–")]
)
def test_numbers_in_tables_are_short(value, text):
    assert skill.number(value) == text


def test_skill_by_lead_takes_the_test_period_only():
    scores = made.scores(made.BOX)
    scores.loc[scores["period"] == "train", "value"] = 99.0
    table = skill.by_lead(scores, "skill_clim")["climatology"]
    assert table.shape == (8, 3)
    assert (table < 1).all(axis=None)


def test_a_score_that_a_method_lacks_is_a_dash():
    scores = made.scores(made.BOX)
    scores = scores[~((scores["method"] == "xgboost") & (scores["metric"] == "skill_clim"))]
    figure = skill.draw(scores, [made.STAMP])
    assert sum(text.get_text() == "–" for text in printed(figure)) == 8 * 4


def test_scores_without_skill_are_refused():
    scores = made.scores(made.BOX)
    with pytest.raises(ValueError, match="no skill_clim by lead and mode"):
        skill.draw(scores[scores["metric"] != "skill_clim"], [made.STAMP])


def test_methods_stand_from_best_to_worst_and_published_rows_apart(drawn):
    axes = drawn["methods", 0].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    table = methods.overall(made.scores(made.GLOBE), "r2_mean")["test"].sort_values(ascending=False)
    assert names[: len(table)] == [style.styles([name])[name].label for name in table.index]
    assert names[len(table) :] == [f"SC20: {label}" for label, _, _ in reported.SC20]


def test_published_rows_are_left_out_where_the_data_is_another():
    figure = methods.draw(made.scores(made.BOX), (), [REAL])
    assert not any("SC20" in text.get_text() or "reported" in text.get_text() for text in printed(figure))


def test_scores_beyond_the_axis_are_told():
    figure = methods.draw(made.scores(made.BOX), (), [REAL])
    assert any(text.get_text().startswith("test −8.2") for text in printed(figure))


# searches


def test_best_so_far_never_rises_and_failures_are_marked(drawn):
    axes = drawn["trajectory", 0].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert (np.diff(lines["step 1: best so far"].get_ydata()) <= 0).all()
    assert lines["failed (2 of 30)"].get_xdata().tolist() == [3, 17]
    assert "step 2: trial on 100 % of training windows" in lines


def test_a_search_without_success_is_drawn():
    trials = made.trials(4, failed=(0, 1, 2, 3), second=0)
    figure = trajectory.draw(trials, [made.STAMP])
    assert sum(text.get_text() == "no trial finished" for text in printed(figure)) == 2
    assert [picture.title for picture in architectures.pictures(trials, 2, seed=0)] == ["random 1", "random 2"]


def test_losses_of_both_steps_are_drawn_with_their_correlation(drawn):
    by_rank, both, _, groups = drawn["two_step", 0].axes
    first = by_rank.lines[0].get_ydata()
    assert (np.diff(first) >= 0).all()
    # 60 trials, two of them failed in step 1, and all others repeated
    assert len(first) == len(both.lines[0].get_xdata()) == 58
    labels = [text.get_text() for text in drawn["two_step", 0].legends[0].get_texts()]
    assert [label.split(" of windows")[0] for label in labels] == ["step 1 on 50 %", "step 1 on 10 %"]
    assert all("all: " in label and "(n = 58)" in label and "best 5 % of step 1" in label for label in labels)
    assert [label.get_text() for label in groups.get_xticklabels()] == ["1–12", "13–24", "25–36", "37–47", "48–58"]


def test_step_1_losses_of_very_different_size_lie_inside_their_panel():
    spread = made.trials(60, second=60)
    first = spread["step"] == 1
    spread.loc[first, "loss"] *= np.geomspace(1, 1e6, int(first.sum()))
    by_rank, both, *_ = two_step.draw({0.5: spread}, [made.STAMP]).axes
    assert by_rank.get_yscale() == both.get_xscale() == "log"
    bottom, top = by_rank.get_ylim()
    losses = by_rank.lines[0].get_ydata()
    assert 0.5 * losses[0] < bottom < losses[0] < top


def test_selected_trials_give_no_correlation_over_all():
    labels = two_step.draw({0.5: made.trials(second=6)}, [made.STAMP]).legends[0].get_texts()
    assert [label.get_text().startswith("step 1 on 50 % of windows; Spearman over best 27 %") for label in labels] == [
        True
    ]


def test_two_steps_of_a_single_repeated_trial_are_drawn():
    figure = two_step.draw({0.5: made.trials(2, failed=(), second=1)}, [made.STAMP])
    assert figure.legends[0].get_texts()[0].get_text().endswith("best 50 % of step 1: – (n = 1)")


def test_two_steps_without_success_are_drawn():
    figure = two_step.draw({0.5: made.trials(4, failed=(0, 1, 2, 3), second=0)}, [made.STAMP])
    assert sum(text.get_text() == "no trial finished" for text in printed(figure)) == 4
    with pytest.raises(ValueError, match="6 studies, but there are 5 looks"):
        two_step.draw(dict.fromkeys(range(6), made.trials()), [made.STAMP])


def test_the_pareto_set_is_a_stair(drawn):
    (axes,) = drawn["pareto", 0].axes
    best = next(line for line in axes.lines if line.get_label().startswith("Pareto set"))
    sizes, losses = best.get_data()
    assert len(sizes) > 1
    assert (np.diff(sizes) > 0).all()
    assert (np.diff(losses) < 0).all()


def test_no_pareto_set_without_success_or_measure():
    trials = made.trials(4, failed=(0, 1, 2, 3), second=0)
    figure = pareto.draw(trials, "parameters", [made.STAMP])
    assert any(text.get_text() == "no trial finished" for text in printed(figure))
    with pytest.raises(ValueError, match="no column inference_seconds; run the search with"):
        pareto.draw(trials, "inference_seconds", [made.STAMP])


def test_a_loss_far_off_does_not_flatten_the_picture():
    trials = made.trials(8, failed=(), second=0)
    trials.loc[2, "loss"] = 1e4
    axes = trajectory.draw(trials, [made.STAMP]).axes[0]
    assert axes.get_ylim()[1] < 3
    assert "triangles" in axes.get_title(loc="left")


def test_losses_of_a_gaussian_head_are_no_r2():
    trials = made.trials().assign(r2_mean=0.5)
    for figure in (
        trajectory.draw(trials, [made.STAMP]),
        pareto.draw(trials, "parameters", [made.STAMP]),
        two_step.draw({0.5: made.trials(60, second=60).assign(r2_mean=0.5)}, [made.STAMP]),
    ):
        texts = [text.get_text() for text in printed(figure)]
        assert any("negative log likelihood" in text for text in texts)
        assert not any("1 − R²" in text for text in texts)
    assert architectures.pictures(trials, 1, seed=0)[1].notes[0].startswith("validation NLL")


def test_negative_losses_lie_inside_their_panel():
    trials = made.trials()
    trials["loss"] -= 2.0
    shown = trajectory.draw(trials, [made.STAMP]).axes[0].get_ylim()
    assert shown[0] < trials["loss"].min() < trials["loss"].median() < shown[1]


def test_a_moving_mean_goes_through_many_trials():
    trials = made.trials(number=300, failed=())
    trials["loss"] += 2
    lines = {line.get_label(): line for line in trajectory.draw(trials, [made.STAMP]).axes[0].lines}
    mean = lines["step 1: mean of 100 trials"].get_ydata()
    assert mean[-1] == pytest.approx(trials[trials.step == 1].loss[-100:].mean())
    assert "step 2: mean of 100 trials" not in lines


def test_best_architectures_come_from_the_last_step():
    trials = made.trials()
    trials.loc[0, "loss"] = 0.0
    best = architectures.best_points(trials, 3)
    second = trials[trials["step"] == 2].sort_values("loss")
    assert [loss for loss, _ in best] == second["loss"].head(3).tolist()


def test_random_architectures_repeat_with_the_seed():
    assert architectures.random_points(3, 7) == architectures.random_points(3, 7)
    assert architectures.random_points(3, 7) != architectures.random_points(3, 8)


def point(nodes, skips=()):
    chosen = {f"node_{place}": node for place, node in enumerate(nodes, start=1)}
    chosen |= {f"skip_{node}_{anchor}": int((node, anchor) in skips) for node, anchor in space.skips()}
    return chosen


def test_skips_run_from_anchor_to_merge_and_know_their_projection():
    # input (13) into merge 1 (32): projected; merge 1 (32) into merge 2 (32): as it is; heights are 2 k for merge k
    layers = space.graph(point(["32", "32", "16", "16", "16"], [(1, 0), (2, 1)]), 13, 5)
    assert architectures.skips(layers) == [architectures.Skip(0, 2, True), architectures.Skip(2, 4, False)]


def test_skips_that_overlap_get_lanes_of_their_own():
    found = [architectures.Skip(*ends, False) for ends in ((0, 2), (0, 4), (2, 4), (4, 6))]
    assert architectures.lanes(found) == [0, 1, 0, 0]


def test_pictures_tell_the_number_of_parameters():
    chosen = point(["identity"] * 5)
    figure = architectures.draw([architectures.Picture("plain", chosen)], 13, 5, [made.STAMP])
    # only the output LSTM(5) on 13 channels has any: 4 * 5 * (13 + 5 + 1)
    assert any(text.get_text() == "380 parameters" for text in printed(figure))


def test_text_from_outside_is_not_read_as_a_formula():
    known = made.maps(made.BOX, events=1).assign_coords(event_label=("event", ["cost: $5 and $6"]))
    assert r"\$5 and \$6" in titles(events.draw(known, BOTH[0], [made.STAMP]))[0].get_text()


def test_periods_are_read_from_a_stamp_that_says_more_of_them():
    said = {**made.STAMP, "train_period": made.STAMP["train_period"] + ", refitted every year on all the past"}
    found, plain = timelines.Periods.of(said), timelines.Periods.of(made.STAMP)
    assert found.train.tolist() == plain.train.tolist()
    assert found.test.tolist() == plain.test.tolist()


def test_a_difference_of_nothing_does_not_crowd_the_axis_with_decades():
    nothing = {"difference": 0.0, "low": 0.0, "high": 0.0}
    some = {"difference": 0.01, "low": 0.005, "high": 0.02}
    assert differences._decades({"ours": [nothing, some]}, 0.023) == pytest.approx([0.001, 0.01])
