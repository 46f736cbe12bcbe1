"""Rule `classify`: training windows, test inputs and events of the training weeks in; chances on the test weeks out.

Events of test weeks are not looked at, and CPC's anomalies are no input: networks see SST less the climatology of the
weeks fitted on.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.baselines.climatology import Climatology
from podnas.baselines.logistic import Logistic
from podnas.config import ClassificationConfig, WindowsConfig
from podnas.ensemble import votes
from podnas.ensemble.members import Events
from podnas.networks import apart, classifier, classifiers
from podnas.networks import train as keras_engine
from podnas.networks.classifier import Trained
from podnas.networks.classifiers import Plan
from podnas.progress import Progress
from podnas.verify.classified import LOGISTIC, PLAIN
from podnas.verify.nino import EVENTS, Cpc
from podnas.windows import HALF_WEEK, Array

LEARNING = ("tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    test_inputs: Path,
    table: Path,
    outputs: tuple[Path, Path],
    folder: Path,
    config: ClassificationConfig,
    window: WindowsConfig,
    harmonics: int,
    code: str,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    whole, standard = windows.training(dataset), windows.scaler(dataset)
    test = windows.inputs(artifacts.read_windows(test_inputs, artifacts.INPUTS), standard)
    cpc = Cpc(artifacts.read_table(table))
    fold = windows.fold(whole, window, -1)
    climatology = Climatology(harmonics).fit(fold.fit)
    scale = float((fold.fit.series - climatology.at(fold.fit.series_centres)).std())

    def features(inputs: windows.Inputs) -> Array:
        return classifier.features(inputs, climatology.at(inputs.centres), scale)

    def outcomes(inputs: windows.Inputs) -> Array:
        found = cpc.events(inputs.target_centres - HALF_WEEK, config.threshold)
        return np.stack([found[event] for event in EVENTS], axis=-1)  # (n, leads, events)

    came = outcomes(fold.fit.inputs)
    identity = {"code": code, "data": windows.content_hash(whole), "threshold": config.threshold}
    plan = classifiers.plans(
        config.trials, config.seed, config.trial_limit_seconds, {**identity, **provenance.versions(*LEARNING)}
    )
    progress = Progress("classifiers", len(plan))

    def report(one: Plan, made: Trained) -> None:
        progress.step(f"trial {one['trial']}: {made.error or f'{made.fit_seconds:.1f} s'}")

    trained = classifiers.train(
        plan,
        (features(fold.fit.inputs), came.reshape(len(came), -1)),
        (features(fold.validate.inputs), features(test)),
        folder,
        report,
    )
    finished = [one for one, made in zip(plan[1:], trained[1:], strict=True) if made.error is None]
    found = [made for made in trained[1:] if made.error is None]
    if len(found) < 2 or trained[0].error is not None:
        failed = next(made.error for made in trained if made.error is not None)
        raise ValueError(
            f"{len(found)} of {config.trials} networks have finished, the first other: {failed}; raise "
            f"classification.trial_limit_seconds or trials, remove {folder} and start again"
        )
    arrays, told = {}, {}
    for place, event in enumerate(EVENTS):
        made, about = of_event(place, trained[0], found, outcomes(fold.validate.inputs)[..., place], config)
        began = time.perf_counter()
        logistic = Logistic(Climatology(harmonics)).fit(whole, outcomes(whole.inputs)[..., place])
        seconds = time.perf_counter() - began
        made[LOGISTIC] = logistic.predict(test)
        about[LOGISTIC] = {
            "inference_seconds": 0.0,
            "parameters": 2 * came.shape[1],
            "models": 1,
            "fit_seconds": seconds,
        }
        arrays |= {f"{event}_{name}": one for name, one in made.items()}
        told[event] = about
    arrays["base"] = np.stack([outcomes(whole.inputs)[..., place].mean(axis=0) for place in range(len(EVENTS))])
    apart.keep(outputs[0], {"windows": len(test)}, arrays)
    artifacts.write_json(
        outputs[1],
        {
            "trials": [
                {**{key: one[key] for key in ("trial", "point")}, "seconds": made.fit_seconds, "error": made.error}
                for one, made in zip(plan, trained, strict=True)
            ],
            "finished": [one["trial"] for one in finished],
            "fitted_windows": len(fold.fit.inputs),
            "validation_windows": len(fold.validate.inputs),
            "costs": told,
        },
    )


def of_event(
    place: int, plain: Trained, found: list[Trained], outcome: Array, config: ClassificationConfig
) -> tuple[dict[str, Array], dict[str, Mapping[str, float]]]:
    """Chances (n, leads) of one event by each ensemble, and what each costs; outcome: of the validation windows."""

    def logits(made: Trained, of: int) -> Array:
        both = made.logits[of]
        return both.reshape(len(both), -1, len(EVENTS))[..., place]

    held = Events([f"trial {n}" for n in range(len(found))], [logits(one, 0) for one in found], outcome)
    chosen = votes.votes(held, config.top, config.members)
    alone = votes.single(logits(plain, 0), outcome)
    made = {PLAIN: alone.probability([logits(plain, 1)])}
    costs = {PLAIN: cost([plain])}
    for name, one in chosen.items():
        made[name] = one.probability([logits(member, 1) for member in found])
        costs[name] = cost([found[row] for row in one.members])
    return made, costs


def cost(members: list[Trained]) -> dict[str, float]:
    keys = ("inference_seconds", "parameters", "fit_seconds")
    return {key: float(sum(getattr(one, key) for one in members)) for key in keys} | {"models": len(members)}


if __name__ == "__main__":
    with provenance.rule(snakemake):
        keras_engine.make_deterministic()
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.table),
            (Path(snakemake.output.chances), Path(snakemake.output.trials)),
            Path(snakemake.params.folder),
            ClassificationConfig.model_validate(snakemake.params.config),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.harmonics,
            snakemake.params.code,
        )
