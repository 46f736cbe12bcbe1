"""Rule `outlook_search`: training windows of the record in; trials of small networks with a Gaussian head out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import corrections, engines, searching, space
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.recipe import Recipe
from podnas.search import build, driver, log
from podnas.search.log import TrialLog
from podnas.search.report import Report

LEARNING = ("numba", "numpy", "configspace")


def main(
    train: Path,
    trials: Path,
    logs: Path,
    config: SearchConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    code: str,
    workers: int,
) -> None:
    whole = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
    recipe = Recipe(training, window, config.epochs, keep_best=False)
    engine = engines.named("kernels")
    identity = {
        "search": config.model_dump(mode="json"),
        "recipe": recipe.record(),
        "data": windows.content_hash(whole),
        "code": code,
        **provenance.versions(*LEARNING),
    }
    trial_log = TrialLog(log.path(logs, identity, 0), identity)
    report = Report("search", build.trials(config), "validation NLL", lambda loss: f"{loss:.3f}")
    algorithm = build.build(space.search_space(config, small=True), config)
    fold = corrections.fold(whole, recipe, block=-1)
    with PopulationEvaluator(fold, recipe, config.seed, engine, workers) as evaluator:
        outcomes = driver.run(algorithm, evaluator, trial_log, report, config.lanes)
    searching.check_any_finished(outcomes, trial_log.path.parent)
    artifacts.write_table(trials, log.table(outcomes, config.two_step))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.output.trials),
            Path(snakemake.params.logs),
            SearchConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.code,
            snakemake.threads,
        )
