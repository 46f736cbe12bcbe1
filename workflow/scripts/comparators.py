"""Rule `comparators`: candidates in; a deep ensemble of the best of them, and its forecasts with dropout, out."""

from pathlib import Path

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.config import TrainingConfig, UncertaintyConfig, WindowsConfig
from podnas.ensemble import pool
from podnas.ensemble.selection import Prepared, Settings
from podnas.networks import candidates, dropout, engines
from podnas.networks.recipe import Recipe, network_seed
from podnas.progress import Progress

LEARNING = ("numba", "numpy", "keras", "tensorflow-cpu")
SEED = 1_000_000  # beyond those of candidates


def main(
    train: Path,
    test_inputs: Path,
    found: tuple[Path, Path],
    output: Path,
    folder: Path,
    config: UncertaintyConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    code: str,
    workers: int,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, later = windows.training(dataset), windows.inputs(test, windows.scaler(dataset))
    every = pool.Pool.of(artifacts.read_pool(found[0]))
    held = every.held(pool.truth(dataset, every.held_time))
    best = Prepared(held, Settings.of(config)).best()
    row = artifacts.read_json(found[1])["candidates"][best]
    recipe, engine = Recipe(training, window, config.epochs, keep_best=False), engines.named("kernels")
    identity = {"code": code, "engine": engine.name, **provenance.versions(*LEARNING)}
    seed = network_seed(config.seed, SEED)
    plan = candidates.plans([row] * config.initialisations, recipe, seed, data, identity)
    progress = Progress("deep ensemble", len(plan))

    def report(one, result):
        progress.step(candidates.told(one, result), shown=one["block"] == 0 or candidates.ERROR in result)

    trained = candidates.train(plan, data, later, folder, engine, workers, report)
    blocks = window.validation_blocks  # networks of the first initialisation, whose dropout is left on
    first = (trained.plan[:blocks], trained.results[:blocks])
    dropped = dropout.forecasts(*first, data, later, config.passes, seed)
    stacked = candidates.stacked(trained.plan, trained.results)
    made = {name: np.concatenate([part, dropped[name]]) for name, part in stacked.items()}
    names = [f"deep_ensemble_{number:02d}" for number in trained.candidates]
    names += [f"mc_dropout_{number:02d}" for number in range(config.passes)]
    artifacts.write_pool(output, pool.dataset(made, names, candidates.held_windows(data, window), dataset, test))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            (Path(snakemake.input.pool), Path(snakemake.input.catalogue)),
            Path(snakemake.output.pool),
            Path(snakemake.params.folder),
            UncertaintyConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.code,
            snakemake.threads,
        )
