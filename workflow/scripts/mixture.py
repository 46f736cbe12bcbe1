"""Rule `mixture`: candidates, baselines and comparators in; the calibrated forecast of each ensemble, no truth, out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from podnas import artifacts, provenance
from podnas.ensemble import compared, forecast
from podnas.ensemble.pool import Pool


def main(
    train: Path, test_inputs: Path, selection: Path, pools: tuple[Path, Path, Path], outputs: Mapping[str, Path]
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    candidates, baselines, comparators = (Pool.of(artifacts.read_pool(path)) for path in pools)
    members = candidates.joined(baselines).joined(comparators)
    found = artifacts.read_json(selection)["forecasts"]
    for name, path in outputs.items():
        mixture, names = compared.later(found[name], members)
        correlation = np.array(found[name]["correlation"])
        artifacts.write_probabilistic(path, forecast.dataset(mixture, names, correlation, dataset, test))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.train),
            Path(given.test_inputs),
            Path(given.selection),
            (Path(given.candidates), Path(given.baselines), Path(given.comparators)),
            {Path(path).stem: Path(path) for path in snakemake.output.forecasts},
        )
