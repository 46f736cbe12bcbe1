"""Rule `figure_trajectory`: trials in, the course of the search out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.figures import style, trajectory


def main(trials: Path, train: Path, test_inputs: Path, figure: Path, stamp: Mapping[str, Any]) -> None:
    training = artifacts.read_windows(train, artifacts.TRAINING)
    full = windows.stamped(stamp, training, artifacts.read_windows(test_inputs, artifacts.INPUTS))
    style.save(trajectory.draw(artifacts.read_table(trials), [full]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.trials),
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.output.figure),
            snakemake.params.stamp,
        )
