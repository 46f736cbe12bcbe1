"""Rule `retrain`: the trials of a search in, its best networks trained for longer and their catalogue out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import EnsembleConfig, TrainingConfig, WindowsConfig
from podnas.ensemble import select
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import retrain
from podnas.networks.train import make_deterministic
from podnas.progress import Progress

LEARNING = ("tensorflow-cpu", "keras", "numpy")


def main(
    train: Path,
    trials: Path,
    catalogue: Path,
    config: EnsembleConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    code: str,
) -> None:
    make_deterministic()
    data = windows.training(artifacts.read_windows(train, artifacts.TRAINING))
    table = artifacts.read_table(trials)
    recipe = Recipe(training, window, config.epochs, keep_best=True)
    progress = Progress(f"retrain {name}", config.members)
    members = retrain(
        select.top_k(table, config.members),
        data,
        recipe,
        config.seed,
        catalogue.parent,
        {"data": windows.content_hash(data), "code": code, **provenance.versions(*LEARNING)},
        lambda member: progress.step(f"{member['file']}: validation r2_mean {member['validation_r2']:.3f}"),
    )
    summary = {"members": members, "trials": len(table), "search_seconds": float(table.seconds.sum())}
    artifacts.write_json(catalogue, summary)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.trials),
            Path(snakemake.output.catalogue),
            EnsembleConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.protocol,
            snakemake.params.code,
        )
