"""Rule `judged_search`: training windows in; the trials of all searches, scored on both blocks, out."""

from pathlib import Path

import pandas as pd

from podnas import artifacts, provenance
from podnas.config import JudgedConfig, SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import apart, engines, judged, population
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import job
from podnas.networks.space import architecture_space
from podnas.progress import Progress
from podnas.search import points
from podnas.search.report import Report

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    outputs: tuple[Path, Path],
    logs: Path,
    config: JudgedConfig,
    search: SearchConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    code: str,
    workers: int,
) -> None:
    whole = apart.unscaled(artifacts.read_windows(train, artifacts.TRAINING))
    recipe = Recipe(training, window, search.epochs, keep_best=False)
    plan = judged.planned(config)
    data = judged.cut(whole, window, plan)
    probe = population.arrays(data[plan[0].blocks].fold, recipe)
    point = points.sample(architecture_space(), points.stream(config.seed, 0))
    engine = engines.choose(training, workers, lambda: [job(point, 0, probe, recipe)] * search.lanes)
    identity = {"code": code, **provenance.versions(*LEARNING)}
    progress = Progress("judged", len(plan))
    tables, records = [], []
    for one in plan:
        name = f"{one.algorithm} {one.number}"
        report = Report(f"judged {name}", search.trials, "validation r2_mean", r2, shown=False)
        mine = data[one.blocks]
        outcomes, folder = judged.run(one, mine, search, recipe, logs, identity, engine, workers, report)
        table, record = judged.scored(one, outcomes, mine, folder, config.top)
        tables.append(table)
        records.append(record)
        progress.step(f"{name}: best validation r2_mean {table.validation_r2.max():.3f}", kept=not report.made)
    artifacts.write_table(outputs[0], pd.concat(tables, ignore_index=True))
    artifacts.write_json(outputs[1], {"recipe": recipe.record(), "searches": records})


def r2(loss: float) -> str:
    return f"{1 - loss:.3f}"


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            (Path(snakemake.output.trials), Path(snakemake.output.searches)),
            Path(snakemake.params.logs),
            JudgedConfig.model_validate(snakemake.params.config),
            SearchConfig.model_validate(snakemake.params.search),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.code,
            snakemake.threads,
        )
