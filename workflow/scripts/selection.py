"""Rule `selection`: forecasts of held-out blocks in; members, weights and calibration of all ensembles out.

The same files hold forecasts of test windows, which are not looked at; there is no truth beside them.
"""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import UncertaintyConfig
from podnas.ensemble import compared, pool
from podnas.ensemble.pool import Pool


def main(train: Path, pools: tuple[Path, Path, Path], output: Path, config: UncertaintyConfig) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    candidates, baselines, comparators = (Pool.of(artifacts.read_pool(path)) for path in pools)
    truth = pool.truth(dataset, candidates.held_time)
    artifacts.write_json(output, compared.record(candidates, baselines, comparators, truth, config))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.train),
            (Path(given.candidates), Path(given.baselines), Path(given.comparators)),
            Path(snakemake.output.selection),
            UncertaintyConfig.model_validate(snakemake.params.config),
        )
