"""Rule `complete_system`: forecasts of several methods in, their stack, weighted inside the training period, out.

Where networks are among them, the stack of the linear methods alone is made too, for comparison.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from podnas import artifacts, provenance, windows
from podnas.baselines import held_out
from podnas.config import BaselinesConfig, StackConfig, WindowsConfig
from podnas.ensemble import stack


def main(
    train: Path,
    test_inputs: Path,
    predictions: Mapping[str, Path],
    networks: Mapping[str, Path],
    complete: Path,
    linear: Path | None,
    record: Path,
    config: StackConfig,
    baselines: BaselinesConfig,
    window: WindowsConfig,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, standard = windows.training(dataset), windows.scaler(dataset)
    simple = held_out.forecasts(data, ("climatology", *config.methods), baselines, window)
    searched = {
        name: windows.held_out_values(artifacts.read_held_out(path), simple.init_time, standard)
        for name, path in networks.items()
    }
    known = {name: values for name, values in simple.forecasts.items() if name != "climatology"}
    held = stack.HeldOut(
        {**known, **searched}, simple.forecasts["climatology"], simple.truth, simple.block, standard.scale
    )
    made = {name: artifacts.read_prediction(path) for name, path in predictions.items()}

    def stacked(of: stack.HeldOut, path: Path) -> dict[str, Any]:
        chosen, found = stack.choose(of, config.by)
        forecasts = [combined(chosen, made, period, standard) for period in (0, 1)]
        artifacts.write_prediction(path, windows.prediction(dataset, test, forecasts))
        return {**found, "weights": chosen.record()}

    of_linear = {"linear": stacked(replace(held, forecasts=known), linear)} if linear else {}
    artifacts.write_json(record, stacked(held, complete) | of_linear)


def combined(
    chosen: stack.Stack, made: Mapping[str, xr.Dataset], period: int, standard: windows.Scaler
) -> windows.Array:
    values = {name: standard.forward(one.forecast.values[one.period.values == period]) for name, one in made.items()}
    return chosen.combine(values, values["climatology"])


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            {Path(path).stem: Path(path) for path in snakemake.input.predictions},
            {Path(path).stem.replace("_held_out", "_ensemble"): Path(path) for path in snakemake.input.held_out},
            Path(snakemake.output.complete),
            next(map(Path, snakemake.output.linear), None),
            Path(snakemake.output.record),
            StackConfig.model_validate(snakemake.params.config),
            BaselinesConfig.model_validate(snakemake.params.baselines),
            WindowsConfig.model_validate(snakemake.params.windows),
        )
