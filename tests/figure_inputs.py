"""Small made-up inputs of the figures: bases, coefficients, forecasts, maps, scores and trials, globe and box."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from podnas.config import BASELINES
from podnas.data.lambert import Lambert
from podnas.figures import architectures

METHODS = (
    "climatology",
    "climatology_trend",
    "persistence",
    "damped_persistence",
    "least_squares",
    "seasonal_ridge",
    "linear_inverse_model",
    "mean_linear",
    "anomaly_regression",
    "random_forest",
    "xgboost",
    "lstm_40",
    "lstm_80",
    "lstm_120",
    "lstm_200",
    "recurrent_best",
    "recurrent_ensemble",
    "recurrent_anomaly_ensemble",
    "correction_ensemble",
    "complete_system",
)
MAPPED = ("recurrent_ensemble", "damped_persistence", "climatology")
STAMP: dict[str, Any] = {
    "data_kind": "twin",
    "coefficients": "real, as released",
    "experiment": "made_up",
    "protocol": "short",
    "train_period": "1981-10-29 to 1989-12-28",
    "test_period": "1989-12-31 to 1995-06-25",
    "train_windows": 412,
    "test_windows": 270,
    "seeds": "search 0, ensemble 1",
}


@dataclass(frozen=True)
class Shape:
    """Size of an experiment."""

    lat: tuple[float, ...]
    lon: tuple[float, ...]
    modes: int = 5
    leads: int = 8


GLOBE = Shape(tuple(np.arange(82.5, -90, -15)), tuple(np.arange(7.5, 360, 15)))
BOX = Shape(tuple(np.arange(5.125, 12, 0.25)), tuple(np.arange(78.125, 83, 0.25)), modes=3)
LEAST = Shape((0.5, 1.5), (10.5, 11.5, 12.5), modes=1, leads=1)


def basis(shape: Shape) -> xr.Dataset:
    """Smooth modes with land in a corner."""
    random = np.random.default_rng(3)
    lat, lon = np.deg2rad(shape.lat), np.deg2rad(shape.lon)
    waves = [np.outer(np.cos((k + 1) * lat), np.cos((k + 1) * lon + random.uniform(0, 6))) for k in range(shape.modes)]
    ocean = np.ones((lat.size, lon.size))
    ocean[: lat.size // 4, : lon.size // 3] = np.nan
    mean = (28 - 25 * np.abs(lat)[:, None] + np.zeros(lon.size)) * ocean
    norms = [np.sqrt(np.nansum((wave * ocean) ** 2)) for wave in waves]
    spectrum = 0.75 * 0.4 ** np.arange(60) + 1e-4
    return xr.Dataset(
        {
            "mean": (("lat", "lon"), mean),
            "modes": (("mode", "lat", "lon"), np.stack([w * ocean / n for w, n in zip(waves, norms, strict=True)])),
            "weight": (("lat", "lon"), ocean),
            "cell_area": (("lat", "lon"), ocean, {"units": "m2"}),
            "variance": ("mode", 100.0 * lat.size * 0.4 ** np.arange(shape.modes)),
            "spectrum": ("rank", spectrum / spectrum.sum()),
        },
        coords={
            "lat": list(shape.lat),
            "lon": list(shape.lon),
            "mode": range(1, shape.modes + 1),
            "rank": range(1, spectrum.size + 1),
        },
        attrs={
            "data_kind": "twin",
            "weights": "none",
            "train_first": "1981-10-29",
            "train_last": "1989-12-28",
            "snapshots": 427,
            "captured_variance": 0.92,
        },
    )


def projected(known: xr.Dataset, variable: str = "tmax") -> xr.Dataset:
    """The same basis or maps of another variable, in cells of 100 km on DayMet's projection around 45°N, 75°W."""
    y, x = 6e5 - 1e5 * np.arange(known.sizes["lat"]), 1.5e6 + 1e5 * np.arange(known.sizes["lon"])
    lat, lon = Lambert().geographic(y[:, None], x[None, :])
    moved = known.drop_vars(["lat", "lon"]).rename_dims(lat="y", lon="x")
    places = {"y": y, "x": x, "lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    return moved.assign_coords(places).assign_attrs(variable=variable)


def weeks() -> pd.DatetimeIndex:
    """Starts of all weeks, with the 3-day step at the end of 1989."""
    return pd.date_range("1981-10-29", "1989-12-28", freq="7D").append(
        pd.date_range("1989-12-31", "1995-06-25", freq="7D")
    )


def coefficients(shape: Shape) -> xr.Dataset:
    """A seasonal cycle with noise."""
    time = weeks()
    phase = 2 * np.pi * time.day_of_year.to_numpy() / 365.25
    values = [np.cos(phase + k) / (k + 1) + 0.1 * np.sin(np.arange(time.size) / (9 + k)) for k in range(shape.modes)]
    return xr.Dataset(
        {
            "coefficient": (("time", "mode"), 100 * np.stack(values, axis=1), {"units": "degree_Celsius"}),
            "segment": ("time", (time >= "1989-12-31").astype(np.int32)),
        },
        coords={"time": time, "mode": range(1, shape.modes + 1)},
        attrs={"data_kind": "twin"},
    )


def forecasts(known: xr.Dataset, leads: int, noise: float = 0.05, seed: int = 0) -> xr.Dataset:
    """Truth with noise that grows with the lead, over the weeks after 1989."""
    truth = known["coefficient"].sel(time=slice("1989-12-31", None))
    number = truth.sizes["time"] - 7 - leads
    aligned = np.stack([truth.values[8 + lead - 1 : 8 + lead - 1 + number] for lead in range(1, leads + 1)], axis=1)
    random = np.random.default_rng(seed)
    grown = np.sqrt(np.arange(1, leads + 1))[None, :, None]
    error = noise * truth.values.std(axis=0) * grown * random.normal(size=aligned.shape)
    init = truth["time"].values[7 : 7 + number]
    steps = np.arange(1, leads + 1) * np.timedelta64(7, "D")
    return xr.Dataset(
        {
            "forecast": (("init_time", "lead", "mode"), aligned + error),
            "truth": (("init_time", "lead", "mode"), aligned),
            "valid_time": (("init_time", "lead"), init[:, None] + steps),
        },
        coords={"init_time": init, "lead": range(1, leads + 1), "mode": known["mode"]},
        attrs=STAMP,
    )


def maps(shape: Shape, events: int = 2, probes: int = 3) -> xr.Dataset:
    """RMSE maps, event weeks and probes of three methods."""
    known, random = basis(shape), np.random.default_rng(5)
    field = (len(shape.lat), len(shape.lon))
    ocean = known["weight"].values
    climatology = known["mean"].values + np.zeros((events, 1, 1))
    truth = climatology + 2 * random.normal(size=(events, 1, 1)) * known["modes"].values[0] * 10
    event = np.stack([truth + 0.3 * random.normal(size=truth.shape), 0.5 * (truth + climatology), climatology], axis=1)
    time = weeks()[440:]
    season = 25 + np.zeros((probes, 1)) + 2 * np.cos(2 * np.pi * time.day_of_year.to_numpy() / 365.25)
    series = np.stack([season + 0.4, season + 0.1 * random.normal(size=season.shape), season], axis=1)
    return xr.Dataset(
        {
            "rmse": (("method", "lat", "lon"), np.abs(0.5 + 0.2 * random.normal(size=(3, *field))) * ocean),
            "event_truth": (("event", "lat", "lon"), truth),
            "event_forecast": (("event", "method", "lat", "lon"), event),
            "event_valid_time": ("event", weeks()[450 : 450 + events].to_numpy()),
            "probe_truth": (("probe", "valid_time"), season),
            "probe_forecast": (("probe", "method", "valid_time"), series),
        },
        coords={
            "lat": list(shape.lat),
            "lon": list(shape.lon),
            "method": list(MAPPED),
            "valid_time": time,
            "event_label": ("event", ["El Niño", "La Niña", "third"][:events]),
            "probe_label": ("probe", ["equatorial Pacific", "Gulf Stream", "Indian Ocean"][:probes]),
            "probe_lat": ("probe", [0.5, 38.5, -10.0][:probes]),
            "probe_lon": ("probe", [220.5, 295.5, 75.0][:probes]),
        },
        attrs={**STAMP, "map_lead_weeks": min(4, shape.leads)},
    )


def scores(shape: Shape, methods: tuple[str, ...] = METHODS) -> pd.DataFrame:
    """Scores that fall with lead and mode; persistence far below climatology."""
    rows: list[tuple[Any, ...]] = []
    for place, method in enumerate(methods):
        for period in ("train", "test"):
            for metric in ("r2", "skill_clim"):
                rows += _rows(shape, method, place, period, metric)
    columns = ["method", "period", "metric", "lead", "mode", "region", "value"]
    return pd.DataFrame(rows, columns=columns)


def _rows(shape: Shape, method: str, place: int, period: str, metric: str) -> list[tuple[Any, ...]]:
    lead, mode = np.meshgrid(np.arange(1, shape.leads + 1), np.arange(1, shape.modes + 1), indexing="ij")
    value = 1 - (0.02 + 0.003 * place) * lead * mode**0.5 - (0.05 if period == "test" else 0.0)
    if metric == "skill_clim":
        value = value - 0.2 if method != "persistence" else -3.0 * lead / mode
    overall = (method, period, "r2_mean" if metric == "r2" else metric, 0, 0, "", value.mean())
    cells = zip(lead.ravel(), mode.ravel(), value.ravel(), strict=True)
    return [overall, *((method, period, metric, int(k), int(m), "", float(v)) for k, m, v in cells)]


def trials(number: int = 24, failed: tuple[int, ...] = (3, 17), second: int = 6) -> pd.DataFrame:
    """A search in two steps; trial numbers in `failed` have no loss."""
    random = np.random.default_rng(1)
    points = architectures.random_points(number, seed=4)
    rows = [_trial(k, 1, -1, 0.5, points[k], 0.35 + 0.3 * random.random() - 0.004 * k) for k in range(number)]
    best = sorted(rows, key=lambda row: row["loss"])[:second]
    again = [(place, row, row["loss"] - 0.1 + 0.02 * place) for place, row in enumerate(best)]
    rows += [_trial(number + k, 2, row["number"], 1.0, json.loads(row["point"]), loss) for k, row, loss in again]
    for row in rows:
        if row["number"] in failed:
            row["loss"], row["error"] = np.nan, "loss is not finite"
    return pd.DataFrame(rows)


def _trial(number: int, step: int, parent: int, share: float, point: Any, loss: float) -> dict[str, Any]:
    return {
        "number": number,
        "step": step,
        "parent": parent,
        "continues": False,
        "budget": 1.0,
        "share": share,
        "point": json.dumps(point),
        "loss": loss,
        "error": None,
        "seconds": 4.0,
        "parameters": 20_000 + 5_000 * number,
    }


def transfer(shape: Shape) -> dict[str, Any]:
    """A study in which no group is better than damped persistence, and some baselines leave the panel."""
    random = np.random.default_rng(2)
    groups = ("transferred", "searched", "random")
    simple = [name for name in METHODS if name in BASELINES]

    def score(first: float) -> dict[str, Any]:
        by_lead = [float(value) for value in first * 0.6 ** np.arange(shape.leads)]
        return {"r2_mean": 0.4, "skill_clim": float(np.mean(by_lead)), "skill_lead_1": first, "by_lead": by_lead}

    def interval(difference: float) -> dict[str, Any]:
        found = {"difference": difference, "low": difference - 0.01, "high": difference + 0.01, "verdict": "tie"}
        return {"skill_clim": found, "r2_mean": found, "skill_lead_1": found}

    period = {
        "single": {group: [score(0.15 + 0.01 * random.random()) for _ in range(10)] for group in groups},
        "ensemble": {group: score(0.16 + 0.002 * place) for place, group in enumerate(groups)},
        "baselines": {name: score(0.16 if place < 4 else -0.1 * place) for place, name in enumerate(simple)},
    }
    return {
        "stamp": {key: str(value) for key, value in STAMP.items()},
        "labels": {"transferred": "found on SST", "searched": "searched here", "random": "random architectures"},
        "test": period,
        "validation": period,
        "from_baselines": {
            group: {name: interval(0.002 * place**2) for place, name in enumerate(simple)} for group in groups
        },
    }


def differences() -> dict[str, Any]:
    """Ours against baselines that are ever further behind; one is so far that it leaves the axes."""
    simple = [name for name in METHODS if name in BASELINES]

    def interval(difference: float) -> dict[str, Any]:
        return {"difference": difference, "low": difference - 0.004, "high": difference + 0.004, "verdict": "tie"}

    def against(shift: float) -> dict[str, Any]:
        far = {name: 0.002 * place**2 + shift for place, name in enumerate(simple)}
        return {name: {"52": {"r2_mean": interval(one), "skill_clim": interval(3 * one)}} for name, one in far.items()}

    ours = ("recurrent_ensemble", "recurrent_anomaly_ensemble", "complete_system")
    return {
        "stamp": {key: str(value) for key, value in STAMP.items()},
        "best_baseline": simple[0],
        "block_weeks": 52,
        "blocks_weeks": [52],
        "differences": {name: against(0.001 * place) for place, name in enumerate(ours)},
    }
