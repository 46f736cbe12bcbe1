"""Figures of forecasts with a spread: what must be seen can be seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from podnas.figures import fan, outlook, outlook_record, spread_maps, spread_skill

STAMP = {
    "data_kind": "real", "coefficients": "made up", "experiment": "made_up", "seeds": "0", "protocol": "short",
    "train_period": "then", "train_windows": "9", "test_period": "later", "test_windows": "9",
}  # fmt: skip


def test_fans_are_departures_from_an_annual_cycle_that_would_hide_them():
    time = pd.date_range("2000-01-02", periods=104, freq="7D").values
    cycle = 500 * np.sin(2 * np.pi * np.arange(104) / 52)[:, None, None] * np.ones((1, 4, 1))
    spread = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[:, None, None, None]
    each = ("init_time", "lead", "mode")
    made = xr.Dataset(
        {
            "quantile": (("level", *each), cycle + spread),
            "truth": (each, cycle + 1.5, {"units": "degree_Celsius"}),
            "climatology": (each, cycle),
        },
        {"init_time": time, "lead": [1, 2, 3, 4], "mode": [1], "valid_time": (each[:2], np.stack([time] * 4, axis=1))},
    )
    drawn = fan.draw(made, 4, [STAMP])
    for axes in drawn.axes:
        low, high = axes.get_ylim()
        assert -3 < low < -2 < 2 < high < 3
    assert drawn.axes[0].get_ylabel() == "°C"


def interval(*values: float) -> dict[str, object]:
    value = np.array(values)
    return {"value": value.tolist(), "low": (value - 0.01).tolist(), "high": (value + 0.01).tolist()}


def test_a_far_baseline_is_written_and_does_not_stretch_the_axis():
    names = {"complete": 0.98, "ensemble": 0.99, "damped_persistence": 1.0, "climatology": 2.389}
    lead = {f"{key}_by_lead": interval(0.9, 0.95) for key in ("spread_skill", "coverage50", "coverage90")}
    found = {
        "stamp": STAMP,
        "best_baseline": "damped_persistence",
        "forecasts": dict.fromkeys(names, lead),
        "crps_ratios": {
            name: {"value": value, "low": value - 0.01, "high": value + 0.01} for name, value in names.items()
        },
    }
    ratios, _, _, ninety = spread_skill.draw(found).axes
    assert ratios.get_xlim()[1] < 1.1
    assert [text.get_text() for text in ratios.texts] == ["2.39 →"]
    (target,) = ninety.patches
    assert (target.get_y(), target.get_y() + target.get_height()) == spread_skill.COVERAGE


def test_maps_have_one_headline_short_titles_and_scales_that_clip_nothing():
    random, grid = np.random.default_rng(0), ("lat", "lon")
    maps = xr.Dataset(
        {
            "sigma": (("part", *grid), random.uniform(0.1, 0.7, size=(4, 20, 20))),
            "rmse": (grid, random.uniform(0.3, 0.6, size=(20, 20))),
        },
        {"part": ["aleatoric", "epistemic", "truncation", "total"], "lat": np.arange(20.0), "lon": np.arange(20.0)},
        {"variable": "sst", "map_lead_weeks": 4},
    )
    drawn = spread_maps.draw(maps, [STAMP])
    assert "4 weeks ahead" in drawn.get_suptitle()
    for axes in drawn.axes[:6]:
        assert "\n" not in axes.get_title(loc="left")
        (mesh,) = axes.collections[:1]
        assert mesh.norm.vmin <= mesh.get_array().min()
        assert mesh.get_array().max() <= mesh.norm.vmax


def test_chances_name_the_event_by_colour_and_the_forecast_by_shape():
    both = {"warm": 0.9, "cold": 0.1}
    quantiles = dict(zip(("0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95"), range(7), strict=True))
    lead = {
        "lead": 1, "week": "2000-01-12", "climatology": 1.0, "quantiles": quantiles, "probability": both,
        "probability_logistic": both, "base_rate": both, "baselines": dict.fromkeys(outlook.SIMPLE, 1.0),
        "variance": {"aleatoric": 1.0, "epistemic": 0.5, "truncation": 0.0},
    }  # fmt: skip
    found = {
        "stamp": STAMP, "history": {"week": ["2000-01-05"], "anomaly": [0.1]}, "leads": [lead], "threshold": 0.5,
        "weights": {"network_1": 1.0},
    }  # fmt: skip
    trajectory, chances = outlook.draw(found).axes[:2]
    assert [text.get_text() for text in chances.get_legend().get_texts()] == ["warm", "cold", "logistic", "base rate"]
    shades = {tuple(band.get_facecolor()[0]) for band in trajectory.collections}
    assert len(shades) == len(outlook.BANDS)


def test_the_record_draws_a_baseline_that_ours_lies_upon():
    leads, by_lead = [1, 2], interval(0.3, 0.4)
    bins = [{"forecast": 0.2, "observed": 0.3, "count": 4}]
    found = {
        "stamp": STAMP,
        "leads": leads,
        "scores": {"outlook": {"rmse": by_lead, "crps": by_lead}},
        "against": {name: {"rmse": interval(0, 0), "crps": interval(0, 0)} for name in outlook_record.OTHERS},
        "events": {"reliability": {"warm": bins, "cold": bins}},
        "shape": {
            "outlook": {
                **dict.fromkeys(("coverage50", "coverage90", "spread_skill"), by_lead),
                "aleatoric": [1.0, 2.0], "epistemic": [0.1, 0.1], "pit_histogram": interval(*[0.1] * 10),
            }
        },
    }  # fmt: skip
    rmse = outlook_record.draw(found).axes[0]
    points = {
        line.get_label(): tuple(map(float, line.get_xdata())) for line in rmse.lines if len(line.get_xdata()) == 2
    }
    assert "AR(8) by season" in points
    assert len({places for name, places in points.items() if not name.startswith("_")}) == 4
    assert [label.get_text() for label in rmse.get_xticklabels()] == ["1\n.30", "2\n.40"]
