"""Rule `search`: training windows in, the table of all trials out; a killed search goes on from its trial log."""

import math
from collections.abc import Sequence
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import engines, population
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.population import Job, Member
from podnas.networks.recipe import Recipe, network_seed
from podnas.networks.space import architecture_space, parameter_count
from podnas.progress import Progress
from podnas.search import build, driver, log, points
from podnas.search.protocol import Outcome
from podnas.windows import Fold

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy", "configspace")
PROBE = 256  # most members that engines are compared on, where there is a choice
SHOWN = 50  # lines of progress, besides those of the best so far and of failures


def main(
    train: Path,
    trials: Path,
    trial_logs: Path,
    config: SearchConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    code: str,
    workers: int,
) -> None:
    data = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
    held = windows.fold(data, window, block=-1)
    recipe = Recipe(training, window, config.epochs, keep_best=False)
    engine = engines.choose(training, workers, lambda: probe(held, recipe, config))
    identity = {
        "search": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "windows": window.model_dump(mode="json"),
        "data": windows.content_hash(data),
        "code": code,
        "engine": engine.name,
        **provenance.versions(*LEARNING),
    }
    trial_log = log.TrialLog(log.path(trial_logs, identity, rank=0), identity)
    report = Report(name, build.trials(config))
    search = build.build(architecture_space(), config)
    with PopulationEvaluator(held, recipe, config.seed, engine, workers) as evaluator:
        outcomes = driver.run(search, evaluator, trial_log, report, config.lanes)
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


def probe(held: Fold, recipe: Recipe, config: SearchConfig) -> list[Job]:
    """As many random architectures as are under way at once, to measure engines on."""
    space, arrays = architecture_space(), population.arrays(held, recipe)
    drawn = [points.sample(space, points.stream(config.seed, number)) for number in range(min(PROBE, config.lanes))]
    return [
        population.job(Member(point, network_seed(config.seed, number), recipe.settings), arrays, recipe)
        for number, point in enumerate(drawn)
    ]


class Report:
    """A line for each trial in the log; on the terminal the best so far, failures, and one in so many."""

    def __init__(self, name: str, total: int) -> None:
        self.progress = Progress(f"search {name}", total)
        self.every = math.ceil(total / SHOWN)
        self.best = math.inf

    def __call__(self, outcome: Outcome, kept: bool) -> None:
        number = outcome.trial.number
        if outcome.loss is None:
            self.progress.step(f"trial {number} failed: {outcome.error}", kept)
            return
        better = outcome.loss < self.best
        self.best = min(self.best, outcome.loss)
        text = f"trial {number}: validation r2_mean {1 - outcome.loss:.3f}, best {1 - self.best:.3f}"
        self.progress.step(text, kept, shown=better or number % self.every == 0)


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
            snakemake.threads,
        )
