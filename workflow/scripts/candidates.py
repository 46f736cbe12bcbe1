"""Rule `candidates`: trials of a search in; its best points trained without each block, and their forecasts, out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import TrainingConfig, UncertaintyConfig, WindowsConfig
from podnas.ensemble import pool, select
from podnas.networks import candidates, engines
from podnas.networks.recipe import Recipe
from podnas.progress import Progress

LEARNING = ("numba", "numpy")


def main(
    train: Path,
    test_inputs: Path,
    trials: Path,
    outputs: tuple[Path, Path],
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
    chosen = select.top_k(artifacts.read_table(trials), config.candidates, "uncertainty.candidates")
    recipe = Recipe(training, window, config.epochs, keep_best=False)
    # forecasts of a network come from the kernels, whatever would train it fastest
    engine = engines.named("kernels")
    identity = {"code": code, "engine": engine.name, **provenance.versions(*LEARNING)}
    plan = candidates.plans(chosen, recipe, config.seed, data, identity)
    progress = Progress("candidates", len(plan))

    def report(one, result):
        progress.step(candidates.told(one, result), shown=one["block"] == 0 or candidates.ERROR in result)

    trained = candidates.train(plan, data, later, folder, engine, workers, report)
    names = [candidates.name(number) for number in trained.candidates]
    held, made = candidates.held_windows(data, window), candidates.stacked(trained.plan, trained.results)
    artifacts.write_pool(outputs[0], pool.dataset(made, names, held, dataset, test))
    artifacts.write_json(outputs[1], candidates.catalogue(trained))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.trials),
            (Path(snakemake.output.pool), Path(snakemake.output.catalogue)),
            Path(snakemake.params.folder),
            UncertaintyConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.code,
            snakemake.threads,
        )
