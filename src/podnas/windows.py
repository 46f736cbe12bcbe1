"""Coefficients to windows: what a forecast may see and what it must say, cut without leaks.

A window is `inputs` consecutive weeks followed by `outputs` consecutive weeks. It lies wholly inside one period and
crosses no accepted join between archive files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import xarray as xr

from podnas.config import ProtocolConfig, WindowsConfig

Array = np.ndarray[Any, np.dtype[Any]]
WEEK = np.timedelta64(7, "D")
HALF_WEEK = np.timedelta64(84, "h")
YEAR_DAYS = 365.2425
PROJECTED = "projected"  # a stamp's coefficients before the kind of their field is known
YEAR_WEEKS = 52  # centres of weeks that a whole calendar year holds at least

Subset = Literal["latest", "whole_years", "core_set"]


@dataclass(frozen=True)
class Inputs:
    """What a forecast may see: n windows of `steps` weeks of `modes` coefficients, and dates."""

    values: Array  # (n, steps, modes)
    centres: Array  # (n, steps) datetime64, middle of each input week
    target_centres: Array  # (n, leads) datetime64, middle of each target week
    init_time: Array  # (n,) datetime64, start of the last input week

    def __len__(self) -> int:
        return len(self.init_time)

    def take(self, rows: Array) -> Inputs:
        """The windows of those rows."""
        return Inputs(self.values[rows], self.centres[rows], self.target_centres[rows], self.init_time[rows])


def together(parts: Sequence[Inputs]) -> Inputs:
    """The windows of all parts, one part after the other."""
    return Inputs(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Inputs)))


@dataclass(frozen=True)
class Scaler:
    """Standardisation by a mean and a standard deviation per mode: those of the training weeks, or of some of them."""

    offset: Array  # (modes,)
    scale: Array  # (modes,)

    def forward(self, values: Array) -> Array:
        """Coefficients (…, modes) to standardised coefficients."""
        return (values - self.offset) / self.scale

    def backward(self, values: Array) -> Array:
        """Standardised coefficients (…, modes) to coefficients."""
        return values * self.scale + self.offset


@dataclass(frozen=True)
class Training:
    """All that a method may learn from, standardised: the training weeks and the windows cut from them."""

    series: Array  # (weeks, modes)
    series_centres: Array  # (weeks,) datetime64, middle of each week
    segment: Array  # (weeks,) number of the run of consecutive weeks
    inputs: Inputs
    targets: Array  # (n, leads, modes)

    def restrict(self, keep: Array) -> Training:
        """Only the weeks where keep (weeks,) is true, and the windows wholly inside them."""
        whole = np.array(keep[self.places()].all(axis=1))
        runs = self.segment * (len(keep) + 1) + np.cumsum(np.diff(keep, prepend=keep[0]))
        return Training(
            self.series[keep],
            self.series_centres[keep],
            runs[keep],
            self.inputs.take(whole),
            self.targets[whole],
        )

    def take(self, rows: Array) -> Training:
        """The windows of those rows, with the weeks left as they are."""
        return replace(self, inputs=self.inputs.take(rows), targets=self.targets[rows])

    def seen(self) -> Array:
        """The weeks (weeks, modes) that any of the windows holds, each once."""
        weeks: Array = self.series[np.unique(self.places())]
        return weeks

    def scaled(self, scaler: Scaler) -> Training:
        """Weeks and windows standardised (once more) by a scaler."""
        inputs = replace(self.inputs, values=scaler.forward(self.inputs.values))
        return replace(self, series=scaler.forward(self.series), inputs=inputs, targets=scaler.forward(self.targets))

    def places(self) -> Array:
        """Places in the series of the weeks of each window: (n, steps + leads)."""
        first = np.searchsorted(self.series_centres, self.inputs.centres[:, 0])
        places: Array = first[:, None] + np.arange(self.inputs.values.shape[1] + self.targets.shape[1])
        return places


def subset(fit: Training, share: float, kind: Subset) -> Training:
    """About a share of the windows, of one at least; the weeks are left as they are.

    latest: the last ones. whole_years: those wholly inside calendar years that are spread evenly over the period, as
    many years as come nearest to the share (a window may go from a chosen year to the next if that is chosen, too).
    core_set: see `core_set`. Raises ValueError where no calendar year is whole or holds a window.
    """
    if share == 1:
        return fit
    count = max(1, round(share * len(fit.inputs)))
    match kind:
        case "latest":
            return fit.take(np.arange(len(fit.inputs) - count, len(fit.inputs)))
        case "whole_years":
            return fit.take(_whole_years(fit, count))
        case "core_set":
            values = [part.reshape(len(part), -1) for part in (fit.inputs.values, fit.targets)]
            return fit.take(core_set(np.concatenate(values, axis=1), count))


def _whole_years(fit: Training, count: int) -> Array:
    """Rows of the windows inside so many whole years, evenly spread, that they are nearest to `count`."""
    of_week = fit.series_centres.astype("datetime64[Y]")
    years, weeks = np.unique(of_week, return_counts=True)
    whole = years[weeks >= YEAR_WEEKS]
    of_window = of_week[fit.places()]
    choices = [whole[[(2 * k + 1) * len(whole) // (2 * n) for k in range(n)]] for n in range(1, len(whole) + 1)]
    rows = [np.flatnonzero(np.isin(of_window, chosen).all(axis=1)) for chosen in choices]
    rows = [some for some in rows if len(some)]
    if not rows:
        raise ValueError(
            f"search.two_step.subset is whole_years, but the {len(fit.series)} weeks to fit on hold {len(whole)} whole "
            f"calendar years and no window of {of_window.shape[1]} weeks inside them; set it to latest or core_set, or "
            "lengthen the training period"
        )
    return min(rows, key=lambda some: abs(len(some) - count))


def core_set(values: Array, count: int) -> Array:
    """Rows of `count` of the points (n, d) that leave none far from all of them, in ascending order.

    Greedy k-centre (Gonzalez 1985; for training sets, Sener and Savarese 2018): the point farthest from the mean,
    then each time the one farthest from those chosen; of equal ones the first. Time is n times d times count.
    """
    chosen: list[int] = []
    distance = ((values - values.mean(axis=0)) ** 2).sum(axis=1)
    for _ in range(count):
        chosen.append(int(distance.argmax()))
        nearer = ((values - values[chosen[-1]]) ** 2).sum(axis=1)
        distance = nearer if len(chosen) == 1 else np.minimum(distance, nearer)
        distance[chosen] = -1  # of equal points none is chosen twice
    return np.sort(chosen)


def count_in_period(weeks: int, config: WindowsConfig) -> int:
    """Windows that lie wholly inside a period of that many weeks, joins not regarded."""
    return max(0, weeks - config.inputs - config.outputs + 1)


def split(coefficients: xr.Dataset, protocol: ProtocolConfig, config: WindowsConfig) -> tuple[xr.Dataset, ...]:
    """Cut coefficients (time, mode) into training windows, test inputs and test targets (three datasets).

    The scaler is the mean and standard deviation of the training weeks. Raises ValueError where a period is shorter
    than one window.
    """
    train = _period(coefficients, protocol.name, "train", protocol.train_first, protocol.train_last)
    test = _period(coefficients, protocol.name, "test", protocol.test_first, protocol.test_last)
    training = _training(train, protocol.name, config)
    test_inputs, test_targets = _cut(test, config, protocol.name, "test")
    attrs = {"data_kind": coefficients.attrs["data_kind"], "protocol": protocol.name}
    return tuple(part.assign_attrs(attrs) for part in (training, test_inputs, test_targets))


def refit(
    coefficients: xr.Dataset, test_inputs: xr.Dataset, protocol: ProtocolConfig, config: WindowsConfig, years: range
) -> tuple[xr.Dataset, xr.Dataset]:
    """Training windows of the past of some years, and those of the protocol's test inputs that forecast these years.

    A forecast belongs to the year in which its last input week begins. The past are the weeks from the protocol's first
    training week on that begin before these years; never less than its training period, which the first years have.
    Raises ValueError where no test window belongs to these years.
    """
    of_window = test_inputs.init_time.values.astype("datetime64[Y]").astype(int) + 1970
    mine = np.isin(of_window, years)
    if not mine.any():
        raise ValueError(
            f"protocol {protocol.name}: no test window has its last input week in {years.start} to {years.stop - 1}; "
            f"move test_first or test_last by {config.inputs + config.outputs} weeks"
        )
    last = protocol.train_last
    if of_window.min() not in years:
        last = max(last, date(years.start - 1, 12, 31))
    past = coefficients.sel(time=slice(str(protocol.train_first), str(last)))
    attrs = {"data_kind": coefficients.attrs["data_kind"], "protocol": protocol.name}
    return _training(past, protocol.name, config).assign_attrs(attrs), test_inputs.isel(init_time=np.flatnonzero(mine))


def newest(coefficients: xr.Dataset, first: date, config: WindowsConfig) -> tuple[xr.Dataset, xr.Dataset]:
    """Training windows of all weeks from `first` on, and the inputs of the one forecast that the last weeks begin.

    Raises ValueError where a step between weeks lies inside the last inputs, or there are fewer weeks than a window.
    """
    past = coefficients.sel(time=slice(str(first), None))
    training = _training(past, "newest", config)
    last = past.isel(time=slice(-config.inputs, None))
    if last.segment.values[0] != last.segment.values[-1]:
        raise ValueError(f"the last {config.inputs} weeks to {_day(past.time[-1])} are not consecutive")
    after = last.time.values[-1] + WEEK * np.arange(1, config.outputs + 1)
    inputs = xr.Dataset(
        {
            "input": (("init_time", "step", "mode"), last.coefficient.values[None], training.input.attrs),
            "input_centre": (("init_time", "step"), last.time.values[None] + HALF_WEEK),
            "target_centre": (("init_time", "lead"), after[None] + HALF_WEEK),
        },
        {
            "init_time": ("init_time", last.time.values[-1:], training.init_time.attrs),
            "lead": training.lead,
            "mode": past.mode,
            "valid_time": (("init_time", "lead"), after[None], training.valid_time.attrs),
        },
    )
    attrs = {"data_kind": coefficients.attrs["data_kind"], "protocol": "newest"}
    return training.assign_attrs(attrs), inputs.assign_attrs(attrs)


def _training(train: xr.Dataset, protocol: str, config: WindowsConfig) -> xr.Dataset:
    inputs, targets = _cut(train, config, protocol, "train")
    series = train.coefficient.values
    training = inputs.merge(targets, compat="override", join="exact").assign(
        series=(("time", "mode"), series, {"long_name": "coefficients of the training weeks"}),
        segment=("time", train.segment.values),
        offset=("mode", series.mean(axis=0)),
        scale=("mode", series.std(axis=0)),
    )
    training = training.assign_coords(time=train.time)
    training.attrs["windows_across_joins"] = count_in_period(train.sizes["time"], config) - inputs.sizes["init_time"]
    return training


def _period(coefficients: xr.Dataset, protocol: str, name: str, first: date, last: date) -> xr.Dataset:
    for end, week in ((f"{name}_first", first), (f"{name}_last", last)):
        start = np.datetime64(week)
        if start not in coefficients.time.values:
            nearest = coefficients.time[int(np.abs(coefficients.time.values - start).argmin())]
            raise ValueError(
                f"protocol {protocol}: {end} is {week}, which is no week of the data; the nearest week starts on "
                f"{_day(nearest)}, and the data run from {_day(coefficients.time[0])} to {_day(coefficients.time[-1])}"
            )
    return coefficients.sel(time=slice(str(first), str(last)))


def _day(time: xr.DataArray) -> str:
    return str(time.values.astype("datetime64[D]"))


def _cut(period: xr.Dataset, config: WindowsConfig, protocol: str, name: str) -> tuple[xr.Dataset, xr.Dataset]:
    span = config.inputs + config.outputs
    values, times, segment = period.coefficient.values, period.time.values, period.segment.values
    starts = np.array([s for s in range(len(times) - span + 1) if segment[s] == segment[s + span - 1]], dtype=int)
    if starts.size == 0:
        raise ValueError(
            f"protocol {protocol}: a window is {config.inputs} + {config.outputs} = {span} consecutive weeks, but the "
            f"{name} period has {len(times)} weeks; shorten windows.inputs or windows.outputs, or lengthen the period"
        )
    ins = starts[:, None] + np.arange(config.inputs)
    outs = starts[:, None] + config.inputs + np.arange(config.outputs)
    leads = np.arange(1, config.outputs + 1)
    coords: dict[str, Any] = {
        "init_time": ("init_time", times[ins[:, -1]], {"standard_name": "forecast_reference_time"}),
        "lead": ("lead", leads, {"long_name": "lead", "units": "weeks"}),
        "mode": period.mode,
        "valid_time": (("init_time", "lead"), times[outs], {"long_name": "start of the target week"}),
    }
    units = period.coefficient.attrs.get("units", "1")
    inputs = xr.Dataset(
        {
            "input": (("init_time", "step", "mode"), values[ins], {"units": units}),
            "input_centre": (("init_time", "step"), times[ins] + HALF_WEEK),
            "target_centre": (("init_time", "lead"), times[outs] + HALF_WEEK),
        },
        coords,
    )
    targets = xr.Dataset({"target": (("init_time", "lead", "mode"), values[outs], {"units": units})}, coords)
    return inputs, targets


def stamped(stamp: Mapping[str, Any], training: xr.Dataset, test: xr.Dataset) -> dict[str, Any]:
    """A stamp with what the windows know: the kind of data, whatever their folder, and numbers of windows.

    These are: windows fitted on, windows of the training period left out because they cross a join, windows scored.
    """
    kind = training.attrs["data_kind"]
    projected = {"coefficients": f"projected from the {kind} field"} if stamp["coefficients"] == PROJECTED else {}
    return {
        **stamp,
        **projected,
        "data_kind": kind,
        "train_windows": training.sizes["init_time"],
        "windows_across_joins": int(training.attrs["windows_across_joins"]),
        "test_windows": test.sizes["init_time"],
    }


def scaler(training: xr.Dataset) -> Scaler:
    """The training scaler; a mode that never varies is refused."""
    scale = training.scale.values
    if not (scale > 0).all():
        raise ValueError(f"training coefficients have standard deviations {scale}; a constant mode cannot be scaled")
    return Scaler(training.offset.values, scale)


def training(dataset: xr.Dataset) -> Training:
    """Standardised training data from the dataset of `split`."""
    standard = scaler(dataset)
    return Training(
        standard.forward(dataset.series.values),
        dataset.time.values + HALF_WEEK,
        dataset.segment.values,
        inputs(dataset, standard),
        standard.forward(dataset.target.values),
    )


def inputs(dataset: xr.Dataset, standard: Scaler) -> Inputs:
    """Standardised inputs of training or test windows."""
    return Inputs(
        standard.forward(dataset.input.values),
        dataset.input_centre.values,
        dataset.target_centre.values,
        dataset.init_time.values,
    )


def harmonics(centres: Array, count: int) -> Array:
    """Annual sines and cosines of dates (…): (…, 2 count), orders 1 … count, phase 0 at the start of 2000."""
    days = (centres - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    angle = 2 * np.pi * days[..., None] / YEAR_DAYS * np.arange(1, count + 1)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)


def channels(windows: Inputs, config: WindowsConfig) -> Array:
    """Network inputs (n, steps, modes + 4 harmonics): coefficients, harmonics of the input and of the target weeks.

    Step k carries the target week of lead k and, read newest first, the k-th week before it, else the k-th oldest.
    """
    weeks = np.concatenate([windows.values, harmonics(windows.centres, config.harmonics)], axis=-1)
    if config.order == "newest_first":
        weeks = weeks[:, ::-1]
    seasons = harmonics(windows.target_centres, config.harmonics)
    return np.concatenate([weeks, seasons], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class Fold:
    """One way to hold a block of the training period out."""

    fit: Training
    validate: Training

    def scaled(self, weeks: Array) -> Fold:
        """Both sides standardised by the mean and standard deviation of some of the weeks (n, modes) fitted on.

        Scores of validation windows that are relative to their variance per mode, as r2_mean, stay comparable: R2
        does not change where truth and forecast of a mode are shifted and stretched alike. Raises ValueError where a
        mode never varies in these weeks.
        """
        scale = weeks.std(axis=0)
        if not (scale > 0).all():
            raise ValueError(
                f"the {len(weeks)} weeks fitted on have standard deviations {scale}; a constant mode cannot be scaled: "
                "take more weeks (search.two_step.fraction), or set search.two_step.scaler: training"
            )
        scaler = Scaler(weeks.mean(axis=0), scale)
        return Fold(self.fit.scaled(scaler), self.validate.scaled(scaler))


def fold(whole: Training, config: WindowsConfig, block: int) -> Fold:
    """Hold one contiguous block of the training weeks out; weeks nearer to it than two windows are not fitted on.

    Blocks are counted from 0; a negative one counts from the end.

    Raises ValueError where a side is left without a window.
    """
    weeks, blocks = len(whole.series), config.validation_blocks
    block, gap_weeks = block % blocks, 2 * (config.inputs + config.outputs)
    first, last = block * weeks // blocks, (block + 1) * weeks // blocks
    index = np.arange(weeks)
    held = Fold(
        whole.restrict((index < first - gap_weeks) | (index >= last + gap_weeks)),
        whole.restrict((index >= first) & (index < last)),
    )
    if not (len(held.fit.inputs) and len(held.validate.inputs)):
        raise ValueError(
            f"block {block + 1} of {blocks} of {weeks} training weeks leaves {len(held.fit.inputs)} windows to fit and "
            f"{len(held.validate.inputs)} to validate (gap {gap_weeks} weeks); set windows.validation_blocks otherwise "
            "or lengthen the training period"
        )
    return held


def folds(whole: Training, config: WindowsConfig) -> Iterator[Fold]:
    """All folds of blocked cross-validation inside the training period."""
    for block in range(config.validation_blocks):
        yield fold(whole, config, block)


def prediction(training: xr.Dataset, test: xr.Dataset, forecasts: Sequence[Array]) -> xr.Dataset:
    """Standardised forecasts of the training and the test windows as one dataset in the units of the coefficients."""
    parts = []
    for period, (dataset, forecast) in enumerate(zip((training, test), forecasts, strict=True)):
        values = scaler(training).backward(forecast)
        attrs = dataset.input.attrs
        part = xr.Dataset({"forecast": (("init_time", "lead", "mode"), values, attrs)}, dataset.valid_time.coords)
        part = part.assign_coords(mode=dataset.mode)
        parts.append(part.assign(period=("init_time", np.full(len(values), period, dtype=np.int8))))
    both = xr.concat(parts, "init_time", data_vars="minimal", coords="minimal", compat="override", join="exact")
    both.period.attrs["long_name"] = "0: training window, 1: test window"
    return both.assign_attrs(training.attrs)


def held_out(training: xr.Dataset, blocks: Mapping[int, tuple[Array, Array]]) -> xr.Dataset:
    """Standardised forecasts of held-out blocks as one dataset in the units of the coefficients.

    blocks: of each block in turn, the starts of the last input weeks (n,) and the forecasts (n, leads, modes).
    """
    values = scaler(training).backward(np.concatenate([forecast for _, forecast in blocks.values()]))
    number = np.concatenate([np.full(len(init), block) for block, (init, _) in blocks.items()])
    return xr.Dataset(
        {
            "forecast": (("init_time", "lead", "mode"), values, training.input.attrs),
            "block": ("init_time", number.astype(np.int32), {"long_name": "block held out, from 0"}),
        },
        {
            "init_time": np.concatenate([init for init, _ in blocks.values()]),
            "lead": training.lead,
            "mode": training.mode,
        },
        dict(training.attrs),
    )


def held_out_values(dataset: xr.Dataset, init_time: Array, standard: Scaler) -> Array:
    """Standardised values of held-out forecasts; raises ValueError where they are not of these windows, in order."""
    if not np.array_equal(dataset.init_time.values, init_time):
        raise ValueError(
            f"held-out forecasts are of {dataset.sizes['init_time']} windows, not of the {len(init_time)} that the "
            "validation blocks have; rerun the rule that makes them"
        )
    return standard.forward(dataset.forecast.values)


def joined(predictions: Sequence[xr.Dataset]) -> xr.Dataset:
    """Forecasts of refits in time as one dataset: the training windows of the first, the test windows of all."""
    parts = [predictions[0], *(one.isel(init_time=one.period.values == 1) for one in predictions[1:])]
    both = xr.concat(parts, "init_time", data_vars="minimal", coords="minimal", compat="override", join="exact")
    return both.assign_attrs(predictions[0].attrs)


def content_hash(data: Training) -> str:
    """Hash of everything a search learns from: its log belongs to these data and no others."""
    digest = hashlib.sha256()
    for array in (data.series, data.series_centres, data.segment, data.inputs.values, data.targets):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
