"""Rule `outlook_forecast`: training windows, inputs and trials in; the calibrated mixture and Gaussian baselines out.

What CPC calls an anomaly is no input: only SST is read, as departures from the training climatology.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from podnas import artifacts, provenance, windows
from podnas.baselines.gaussian import Gaussian
from podnas.config import BaselinesConfig, OutlookConfig, TrainingConfig, WindowsConfig
from podnas.ensemble import calibrated, select
from podnas.ensemble.members import Gaussians
from podnas.networks import candidates, engines
from podnas.networks.recipe import Recipe
from podnas.progress import Progress
from podnas.windows import Array

LINEAR = ("damped_persistence", "autoregression", "seasonal_autoregression")  # candidates, and baselines too
BASELINES = ("climatology", "anomaly_persistence", *LINEAR)
LEARNING = ("numba", "numpy", "scikit-learn")


def main(
    train: Path,
    test_inputs: Path,
    trials: Path,
    outputs: tuple[Path, Path],
    folder: Path,
    config: OutlookConfig,
    sections: tuple[TrainingConfig, WindowsConfig, BaselinesConfig],
    code: str,
    workers: int,
    told: bool,
) -> None:
    training, window, baselines = sections
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    inputs = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    whole, standard = windows.training(dataset), windows.scaler(dataset)
    given = windows.inputs(inputs, standard)
    simple = {name: Gaussian(name, baselines, window).fit(whole) for name in BASELINES}
    recipe = Recipe(training, window, config.epochs, keep_best=False)
    points = select.top_k(artifacts.read_table(trials), config.architectures, "outlook.architectures")
    plan = candidates.plans(points, recipe, config.seed, whole, {"code": code, **provenance.versions(*LEARNING)})
    progress = Progress(f"networks of {dataset.attrs['protocol']}", len(plan))

    def report(one: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        progress.step(candidates.told(one, result), shown=one["block"] == 0 or candidates.ERROR in result)

    trained = candidates.train(plan, whole, given, folder, engines.named("kernels"), workers, report)
    stacked = candidates.stacked(trained.plan, trained.results)
    networks = {name: values.astype(np.float64) for name, values in stacked.items()}
    truth = np.concatenate([held.validate.targets for held in windows.folds(whole, window)])
    held = Gaussians(
        [*LINEAR, *(f"network {points[number]['trial']}" for number in trained.candidates)],
        [*(truth - simple[name].errors for name in LINEAR), *networks["held_mean"]],
        [*(simple[name].held_sigma() for name in LINEAR), *networks["held_sigma"]],
        truth,
    )
    chosen = calibrated.fit(held, config.members)
    means = {name: one.predict(given) for name, one in simple.items()}
    made = [[(means[name], np.broadcast_to(simple[name].sigma, means[name].shape))] for name in LINEAR]
    own = [list(zip(*parts, strict=True)) for parts in zip(networks["mean"], networks["sigma"], strict=True)]
    mixture, numbers = chosen.mixture([*made, *own])
    names = [chosen.names[number] for number in numbers]
    scale = standard.scale
    forecasts = xr.Dataset(
        {
            **{name: inputs[name] for name in ("input", "input_centre", "target_centre")},
            "mean": (("member", "init_time", "lead", "mode"), standard.backward(mixture.mean), inputs.input.attrs),
            "sigma": (("member", "init_time", "lead", "mode"), mixture.sigma * scale, inputs.input.attrs),
            "weight": ("member", mixture.weights, {"units": "1"}),
            "baseline_mean": (
                ("method", "init_time", "lead", "mode"),
                np.stack([standard.backward(means[name]) for name in BASELINES]),
                inputs.input.attrs,
            ),
            "baseline_sigma": (
                ("method", "lead", "mode"),
                np.stack([simple[name].sigma * scale for name in BASELINES]),
                inputs.input.attrs,
            ),
        },
        {
            **{name: inputs[name] for name in ("init_time", "lead", "mode", "valid_time")},
            "member": np.arange(len(names)),
            "method": list(BASELINES),
        },
        {**inputs.attrs, "members": names},
    )
    artifacts.write_mixture(outputs[0], forecasts)
    about = {
        "recipe": recipe.record(),
        "candidates": [
            {"name": name, "weight": float(weight), "sigma_scale": float(one)}
            for name, weight, one in zip(chosen.names, chosen.weights, chosen.scales, strict=True)
        ],
        "points": points,
        "left_out": list(trained.left_out),
        "calibration_by_lead": chosen.factor[:, 0].tolist(),
        "windows": len(whole.inputs),
    }
    artifacts.write_json(outputs[1], about | ({"held_out": held_out(held, chosen, scale)} if told else {}))


def held_out(held: Gaussians, chosen: calibrated.Calibrated, scale: Array) -> Mapping[str, Any]:
    """What held-out blocks say of each candidate, in the units of the index.

    Forecasts are of blocks that were held out; the one factor of each candidate's sigma, and the members of the
    mixture, are from all blocks together, so that `crps` is of the very windows that these were fitted to.
    """
    return {
        "windows": len(held.truth),
        "rmse_by_lead": {
            name: (np.sqrt(((mean - held.truth) ** 2).mean(axis=0)) * scale)[:, 0].tolist()
            for name, mean in zip(held.names, held.means, strict=True)
        },
        "crps": {name: float(one * scale[0]) for name, one in zip(held.names, chosen.alone, strict=True)},
        "crps_as_members_were_added": [float(one * scale[0]) for one in chosen.losses],
    }


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.trials),
            (Path(snakemake.output.forecasts), Path(snakemake.output.members)),
            Path(snakemake.params.folder),
            OutlookConfig.model_validate(snakemake.params.config),
            (
                TrainingConfig.model_validate(snakemake.params.training),
                WindowsConfig.model_validate(snakemake.params.windows),
                BaselinesConfig.model_validate(snakemake.params.baselines),
            ),
            snakemake.params.code,
            snakemake.threads,
            snakemake.params.told,
        )
