"""Rules `retrain` and `retrain_share`: trials of a search in, its best networks, trained for longer, out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import EnsembleConfig, TrainingConfig, WindowsConfig
from podnas.ensemble import select
from podnas.networks import engines
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import held_out, job, retrain
from podnas.progress import Progress

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy")


def main(
    train: Path,
    trials: Path,
    catalogue: Path,
    config: EnsembleConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    code: str,
    workers: int,
    share: int = 0,
    shares: int = 1,
) -> None:
    data = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
    table = artifacts.read_table(trials)
    recipe = Recipe(training, window, config.epochs, keep_best=config.keep == "best")
    numbers = range(share, config.members, shares)
    progress = Progress(f"retrain {name}", len(numbers))
    chosen = select.top_k(table, config.members, "ensemble.members")
    arrays = held_out(data, recipe, block=-1)
    engine = engines.choose(training, workers, lambda: [job(row["point"], 0, arrays, recipe) for row in chosen])
    members = retrain(
        chosen,
        data,
        recipe,
        config.seed,
        catalogue.parent,
        {
            "data": windows.content_hash(data),
            "code": code,
            "engine": engine.name,
            **provenance.versions(*LEARNING),
        },
        lambda member: progress.step(f"{member['file']}: validation r2_mean {member['validation_r2']:.3f}"),
        engine,
        workers,
        numbers,
    )
    summary = {"members": members, "trials": len(table), "search_seconds": float(table.seconds.sum())}
    artifacts.write_json(catalogue, summary)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.trials),
            Path(snakemake.output[0]),
            EnsembleConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.run,
            snakemake.params.code,
            snakemake.threads,
            *snakemake.params.get("share", (0, 1)),
        )
