"""Rule `score`: forecasts without truth in; scores, forecasts with truth and maps out.

This rule alone reads test targets, and each reading leaves a line in the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from podnas import artifacts, provenance, windows
from podnas.config import VerifyConfig
from podnas.verify import coefficients, ledger, physical, regional

MAPPED = ("recurrent_ensemble", "damped_persistence", "climatology")


def main(
    train: Path,
    test_targets: Path,
    field: Path,
    basis: Path,
    predictions: Mapping[str, Path],
    ours: Sequence[str],
    baselines: Sequence[str],
    scores: Path,
    regions: Path,
    maps: Path,
    forecasts: Mapping[str, Path],
    ledger_file: Path,
    config: VerifyConfig,
    stamp: Mapping[str, Any],
) -> None:
    training = artifacts.read_windows(train, artifacts.TRAINING)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    stamp = windows.stamped(stamp, training, targets)
    read = {method: artifacts.read_prediction(path) for method, path in predictions.items()}
    test = {method: with_truth(prediction, targets, stamp) for method, prediction in read.items()}
    table = score_all(training, read, test)
    # before anything that could be looked at is written
    ledger.append(ledger_file, entries(table, predictions, stamp["protocol"]), targets.valid_time.values)
    with artifacts.open_field(field) as weekly:
        truth = physical.Truth(weekly, artifacts.read_basis(basis), targets.valid_time.values)
    errors = physical.errors(truth, {method: one.forecast for method, one in test.items()}, config.regions)
    in_units = physical.region_table(errors, targets.lead.values)
    artifacts.write_table(scores, pd.concat([table, in_units]) if errors else table)
    artifacts.write_json(regions, {name: regional.of_all(one, ours, baselines) for name, one in errors.items()})
    mapped = {method: test[method].forecast for method in MAPPED}
    artifacts.write_maps(maps, physical.maps(truth, mapped, config).assign_attrs(stamp))
    for method, path in forecasts.items():
        artifacts.write_forecast(path, test[method])


def with_truth(prediction: xr.Dataset, targets: xr.Dataset, stamp: Mapping[str, Any]) -> xr.Dataset:
    test = prediction.isel(init_time=prediction.period.values == 1)
    forecast = test.forecast.reindex_like(targets.target)
    made = xr.Dataset({"forecast": forecast, "truth": targets.target})
    return made.assign_coords(valid_time=targets.valid_time).assign_attrs(stamp)


def score_all(training: xr.Dataset, read: Mapping[str, xr.Dataset], test: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    standard = windows.scaler(training)
    parts = []
    for period, name in enumerate(("train", "test")):
        truth = standard.forward((training.target if name == "train" else test["climatology"].truth).values)
        forecast = {
            method: standard.forward(one.forecast.values[one.period.values == period]) for method, one in read.items()
        }
        parts += [
            coefficients.table(method, name, values, truth, forecast["climatology"], standard.scale)
            for method, values in forecast.items()
        ]
    return pd.concat(parts)


def entries(table: pd.DataFrame, predictions: Mapping[str, Path], protocol: str) -> list[dict[str, Any]]:
    overall = table[(table.period == "test") & (table.lead == 0)].set_index(["method", "metric"])["value"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        {
            "time": now,
            "protocol": protocol,
            "method": method,
            "configuration": provenance.file_hash(path)[:16],
            "r2_mean_test": overall[method, "r2_mean"],
            "skill_clim_test": overall[method, "skill_clim"],
        }
        for method, path in predictions.items()
    ]


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_targets),
            Path(snakemake.input.field),
            Path(snakemake.input.basis),
            {Path(path).stem: Path(path) for path in snakemake.input.predictions},
            snakemake.params.ours,
            snakemake.params.baselines,
            Path(snakemake.output.scores),
            Path(snakemake.output.regions),
            Path(snakemake.output.maps),
            {Path(path).stem: Path(path) for path in snakemake.output.forecasts},
            Path(snakemake.params.ledger),
            VerifyConfig.model_validate(snakemake.params.config),
            snakemake.params.stamp,
        )
