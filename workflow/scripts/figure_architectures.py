"""Rule `figure_architectures`: trials in, pictures of random architectures and of the best ones out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.config import WindowsConfig
from podnas.figures import architectures, style

SHOWN = 3  # random ones, and best ones


def main(
    trials: Path,
    train: Path,
    test_inputs: Path,
    figure: Path,
    config: WindowsConfig,
    seed: int,
    stamp: Mapping[str, Any],
) -> None:
    training = artifacts.read_windows(train, artifacts.TRAINING)
    full = windows.stamped(stamp, training, artifacts.read_windows(test_inputs, artifacts.INPUTS))
    chosen = architectures.pictures(artifacts.read_table(trials), SHOWN, seed)
    modes = training.sizes["mode"]
    style.save(architectures.draw(chosen, modes + 4 * config.harmonics, modes, [full]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.trials),
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.output.figure),
            WindowsConfig.model_validate(snakemake.params.config),
            snakemake.params.seed,
            snakemake.params.stamp,
        )
