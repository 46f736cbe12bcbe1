"""Rule `transfer`: two catalogues of architectures in; forecasts of the study's networks out, without test truth."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import BaselinesConfig, TrainingConfig, TransferConfig, WindowsConfig
from podnas.networks import engines, transfer
from podnas.networks.population import State
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import held_out, job
from podnas.networks.space import parameter_count
from podnas.progress import Progress

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy")


def main(
    train: Path,
    test_inputs: Path,
    catalogues: tuple[Path, Path],
    outputs: tuple[Path, Path, Path],
    folder: Path,
    config: TransferConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    baselines: BaselinesConfig,
    name: str,
    code: str,
    workers: int,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, standard = windows.training(dataset), windows.scaler(dataset)
    recipe = Recipe(training, window, config.epochs, keep_best=True)
    chosen = transfer.groups(*catalogues, config)
    arrays = held_out(data, recipe, block=-1)
    engine = engines.choose(training, workers, lambda: [job(point, 0, arrays, recipe) for point in chosen["random"]])
    identity = {"data": windows.content_hash(data), "code": code, **provenance.versions(*LEARNING)}
    planned = transfer.plans(chosen, config, recipe, {**identity, "engine": engine.name})
    progress = Progress(f"transfer {name}", len(planned))

    def report(plan: transfer.Plan, state: State) -> None:
        text = f"{plan['group']} {plan['replicate']}.{plan['member']}: validation r2_mean {state.validation_r2():.3f}"
        progress.step(text)

    states = transfer.train(planned, data, recipe, folder, engine, workers, report)
    forecast, validated = transfer.forecasts(planned, states, data, windows.inputs(test, standard), recipe)
    artifacts.write_transfer(outputs[0], transfer.test_dataset(forecast, test, standard))
    simple, held = transfer.baselines(data, recipe, baselines)
    artifacts.write_transfer_validation(
        outputs[1], transfer.validation_dataset(validated, simple, held, dataset, standard)
    )
    modes = data.targets.shape[2]
    records = [
        {
            **{key: plan[key] for key in ("group", "replicate", "member", "architecture", "seed", "held_out_block")},
            "parameters": parameter_count(plan["point"], modes + 4 * window.harmonics, modes),
            "validation_r2": state.validation_r2(),
            "best_epoch": state.best_epoch or state.epochs,
            "training_seconds": round(state.seconds, 2),
        }
        for plan, state in zip(planned, states, strict=True)
    ]
    groups = {group: [dict(point) for point in points] for group, points in chosen.items()}
    artifacts.write_json(outputs[2], {"recipe": recipe.record(), "architectures": groups, "networks": records})


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            (Path(snakemake.input.transferred), Path(snakemake.input.searched)),
            (
                Path(snakemake.output.forecasts),
                Path(snakemake.output.validation),
                Path(snakemake.output.networks),
            ),
            Path(snakemake.params.folder),
            TransferConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            BaselinesConfig.model_validate(snakemake.params.baselines),
            snakemake.wildcards.protocol,
            snakemake.params.code,
            snakemake.threads,
        )
