"""Rule `search`: training windows in, the table of all trials out; a killed search goes on from its trial log."""

from collections.abc import Sequence
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks.evaluate import KerasEvaluator
from podnas.networks.recipe import Recipe
from podnas.networks.space import architecture_space, parameter_count
from podnas.progress import Progress
from podnas.search import build, driver, log
from podnas.search.protocol import Outcome, Trial

LEARNING = ("tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    trials: Path,
    trial_logs: Path,
    config: SearchConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    code: str,
) -> None:
    data = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
    held = windows.fold(data, window, block=-1)
    recipe = Recipe(training, window, config.epochs, keep_best=False)
    search = build.build(architecture_space(), config)
    identity = {
        "search": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "windows": window.model_dump(mode="json"),
        "data": windows.content_hash(data),
        "code": code,
        **provenance.versions(*LEARNING),
    }
    trial_log = log.TrialLog(log.path(trial_logs, identity, rank=0), identity)
    progress = Progress(f"search {name}", build.trials(config))
    with KerasEvaluator(held, recipe, config.seed) as evaluator:

        def evaluate(trial: Trial) -> float:
            return evaluator(trial.point, trial.budget, trial.number)

        outcomes = driver.run(search, evaluate, trial_log, lambda done, kept: progress.step(say(done), kept))
    check_any_finished(outcomes, trial_log.path)
    modes = data.targets.shape[2]
    table = log.table(outcomes, config.trials if config.two_step else None)
    table["parameters"] = [parameter_count(o.trial.point, modes + 4 * window.harmonics, modes) for o in outcomes]
    artifacts.write_table(trials, table)


def check_any_finished(outcomes: Sequence[Outcome], path: Path) -> None:
    if all(outcome.loss is None for outcome in outcomes):
        raise ValueError(
            f"all {len(outcomes)} trials failed, the first with: {outcomes[0].error}; "
            f"mend the cause, remove {path} and start again"
        )


def say(outcome: Outcome) -> str:
    if outcome.loss is None:
        return f"trial {outcome.trial.number} failed: {outcome.error}"
    return f"trial {outcome.trial.number}: validation r2_mean {1 - outcome.loss:.3f} in {outcome.seconds:.1f} s"


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.output.trials),
            Path(snakemake.params.trial_logs),
            SearchConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.protocol,
            snakemake.params.code,
        )
