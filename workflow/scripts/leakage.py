"""Rule `leakage`: coefficients and the clean protocol's windows in; forecasts by networks that saw test weeks out.

These are made to leak, on purpose: what comes out says what leaks are worth and enters no scorecard.
"""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import LeakageConfig, ProtocolConfig, TrainingConfig, WindowsConfig
from podnas.networks import engines, leaks
from podnas.networks.population import State
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import job
from podnas.networks.space import parameter_count
from podnas.progress import Progress

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    coefficients: Path,
    train: Path,
    test_inputs: Path,
    outputs: tuple[Path, Path],
    folder: Path,
    config: LeakageConfig,
    protocol: ProtocolConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    code: str,
    workers: int,
) -> None:
    series, test = artifacts.read_coefficients(coefficients), artifacts.read_windows(test_inputs, artifacts.INPUTS)
    recipe = Recipe(training, window, config.epochs, keep_best=True)
    variants = [leaks.Variant.of(some, series, protocol, window, config) for some in leaks.VARIANTS]
    seen = leaks.arrays(variants, recipe)
    identity = {"code": code, **provenance.versions(*LEARNING)}
    recipes = leaks.recipes(variants, recipe, config)
    plan = leaks.plans(variants, recipes, config, identity)
    largest = seen[leaks.name(leaks.LEAKS)]
    engine = engines.choose(training, workers, lambda: [job(one["point"], 0, largest, recipe) for one in plan])
    plan = [{**one, "engine": engine.name} for one in plan]
    progress = Progress("leakage", len(plan))

    def report(one: leaks.Plan, state: State) -> None:
        text = f"{one['variant']} {one['network']}: apparent validation r2_mean {state.validation_r2():.3f}"
        progress.step(text)

    states = leaks.train(plan, seen, folder, engine, workers, report)
    made = leaks.forecasts(plan, states, variants, test, recipe)
    clean = artifacts.read_windows(train, artifacts.TRAINING)
    artifacts.write_leakage(outputs[0], leaks.dataset(made, clean, test, window))
    modes = made.shape[-1]
    records = [
        {
            **{key: one[key] for key in ("variant", "network", "point", "seed")},
            "parameters": parameter_count(one["point"], modes + 4 * window.harmonics, modes),
            "validation_r2": state.validation_r2(),
            "best_epoch": state.best_epoch or state.epochs,
            "training_seconds": round(state.seconds, 2),
        }
        for one, state in zip(plan, states, strict=True)
    ]
    described = [one.describe(own) for one, own in zip(variants, recipes, strict=True)]
    about = {"recipe": recipe.record(), "budget": config.budget, "variants": described, "networks": records}
    artifacts.write_json(outputs[1], about)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.coefficients),
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            (Path(snakemake.output.forecasts), Path(snakemake.output.networks)),
            Path(snakemake.params.folder),
            LeakageConfig.model_validate(snakemake.params.config),
            ProtocolConfig.model_validate(snakemake.params.protocol),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.code,
            snakemake.threads,
        )
