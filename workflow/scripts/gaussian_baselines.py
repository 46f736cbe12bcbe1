"""Rule `gaussian_baselines`: windows in; forecasts of the baselines with a spread, as candidates have them, out."""

from pathlib import Path

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.baselines.gaussian import Gaussian
from podnas.config import BaselinesConfig, WindowsConfig
from podnas.ensemble import pool


def main(
    train: Path,
    test_inputs: Path,
    output: Path,
    names: tuple[str, ...],
    baselines: BaselinesConfig,
    window: WindowsConfig,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, later = windows.training(dataset), windows.inputs(test, windows.scaler(dataset))
    fitted = [Gaussian(name, baselines, window).fit(data) for name in names]
    mean = np.stack([one.predict(later) for one in fitted])[:, None]
    forecasts = {
        "held_mean": np.stack([one.held.forecasts[one.name] for one in fitted]),
        "held_sigma": np.stack([one.held_sigma() for one in fitted]),
        "mean": mean,
        "sigma": np.stack([np.broadcast_to(one.sigma, mean.shape[1:]) for one in fitted]),
    }
    held = fitted[0].held
    artifacts.write_pool(output, pool.dataset(forecasts, names, (held.init_time, held.block), dataset, test))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.output.pool),
            tuple(snakemake.params.names),
            BaselinesConfig.model_validate(snakemake.params.baselines),
            WindowsConfig.model_validate(snakemake.params.windows),
        )
