"""Rule `judged_ablation`: training windows in; forecasts of held-out blocks with each ingredient changed out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance
from podnas.config import FULL, AblationConfig
from podnas.networks import ablation, apart, engines, population
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import job
from podnas.networks.space import parameter_count
from podnas.progress import Progress

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    outputs: tuple[Path, Path],
    folder: Path,
    config: AblationConfig,
    sections: Mapping[str, Mapping[str, Any]],
    code: str,
    workers: int,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    settings = ablation.recipes(sections)
    full = settings[FULL]
    data = ablation.cut(apart.unscaled(dataset), full.windows, config)
    probe = population.arrays(next(iter(data.values())).fold, full)
    identity = {"code": code, **provenance.versions(*LEARNING)}
    plan = ablation.plans(settings, data, config, identity)
    members = plan[: config.members]
    engine = engines.choose(full.settings, workers, lambda: [job(one["point"], 0, probe, full) for one in members])
    plan = [{**one, "engine": engine.name} for one in plan]
    progress = Progress("ablation", len(plan))

    def report(one: ablation.Plan, result: Mapping[str, Any]) -> None:
        place = f"{one['setting']}, block {one['block']}, {one['member']}"
        # a line a setting and block on the terminal, all of them in the log
        progress.step(f"{place}: validation r2_mean {result['validation_r2']:.3f}", shown=one["member"] == 0)

    results = ablation.train(plan, data, folder, engine, workers, report)
    artifacts.write_transfer_validation(outputs[0], ablation.dataset(plan, results, data, dataset, full.windows))
    modes = dataset.sizes["mode"]
    records = [
        {
            **{key: one[key] for key in ("setting", "block", "member", "point", "seed")},
            "parameters": parameter_count(one["point"], modes + 4 * Recipe.of(one["recipe"]).windows.harmonics, modes),
            **{key: result[key] for key in ("validation_r2", "best_epoch", "seconds")},
        }
        for one, result in zip(plan, results, strict=True)
    ]
    recipes = {name: recipe.record() for name, recipe in settings.items()}
    counts = {str(block): one.counts() for block, one in data.items()}
    artifacts.write_json(outputs[1], {"recipes": recipes, "windows": counts, "networks": records})


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            (Path(snakemake.output.forecasts), Path(snakemake.output.networks)),
            Path(snakemake.params.folder),
            AblationConfig.model_validate(snakemake.params.config),
            snakemake.params.settings,
            snakemake.params.code,
            snakemake.threads,
        )
