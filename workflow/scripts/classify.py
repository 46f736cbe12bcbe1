"""Rule `classify`: training windows, test inputs and events of the training weeks in; chances on the test weeks out.

Events of test weeks are not looked at, and CPC's anomalies are no input: networks see SST less the climatology of the
weeks fitted on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.baselines.climatology import Climatology
from podnas.baselines.logistic import Logistic, TrendClimatology
from podnas.config import ClassificationConfig, WindowsConfig
from podnas.ensemble import votes
from podnas.ensemble.members import Events
from podnas.ensemble.mixture import Parts
from podnas.ensemble.votes import Vote
from podnas.networks import apart, classifier, classifiers
from podnas.networks import train as keras_engine
from podnas.networks.classifier import Block, Trained
from podnas.networks.classifiers import Plan
from podnas.progress import Progress
from podnas.verify import happened, occurrence
from podnas.verify.classified import LOGISTIC, PLAIN, TREND
from podnas.windows import HALF_WEEK, Array, Fold, Inputs, Training

LEARNING = ("tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    test_inputs: Path,
    table: Path | None,
    outputs: tuple[Path, Path],
    folder: Path,
    config: ClassificationConfig,
    window: WindowsConfig,
    harmonics: int,
    code: str,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    standard = windows.scaler(dataset)
    test = windows.inputs(artifacts.read_windows(test_inputs, artifacts.INPUTS), standard)
    labels = happened.outcomes(config, dataset, table and artifacts.read_table(table), None)
    whole = windows.training(dataset)
    whole = whole.take(labels.known(whole.inputs.target_centres - HALF_WEEK))
    folds = list(windows.folds(whole, window))

    def came(inputs: Inputs, event: str) -> Array:
        return labels.events(inputs.target_centres - HALF_WEEK)[event]  # (n, leads)

    def all_that_came(inputs: Inputs) -> Array:
        return np.stack([came(inputs, event) for event in labels.names], axis=-1)

    baselines = {
        LOGISTIC: lambda: Logistic(Climatology(harmonics)),
        TREND: lambda: TrendClimatology(harmonics),
    }
    identity = {
        "code": code,
        "data": windows.content_hash(whole),
        "windows": window.model_dump(mode="json"),
        "events": config.model_dump(mode="json", include={"threshold", "heatwaves"}),
    }
    plan = classifiers.plans(
        config.trials, config.seed, config.trial_limit_seconds, {**identity, **provenance.versions(*LEARNING)}
    )
    progress = Progress("classifiers", len(plan))

    def report(one: Plan, made: Trained) -> None:
        progress.step(f"trial {one['trial']}: {made.error or f'{made.epochs} epochs, {made.fit_seconds:.1f} s'}")

    blocks = [block(one, test, harmonics, all_that_came(one.fit.inputs)) for one in folds]
    trained = classifiers.train(plan, blocks, folder, report)
    found = finished(trained)
    arrays, told = {}, {}
    for place, event in enumerate(labels.names):
        outcomes = [came(one.validate.inputs, event) for one in folds]
        made, about = of_networks(event, place, len(labels.names), trained[0], found, outcomes, config)
        for name, build in baselines.items():
            made[name], about[name] = of_baseline(build, whole, folds, test, partial(came, event=event))
        arrays |= {f"{event}_{name}": chance for name, chance in made.items()}
        told[event] = about
    arrays["base"] = all_that_came(whole.inputs).mean(axis=0).T  # (events, leads)
    apart.keep(outputs[0], {"windows": len(test)}, arrays)
    artifacts.write_json(outputs[1], {**record(plan, trained, folds), "costs": told})


def finished(trained: Sequence[Trained]) -> list[Trained]:
    """The networks drawn whose logits are finite; ValueError where these are fewer than two, or the plain one's not."""
    found = [made for made in trained[1:] if made.error is None]
    if len(found) < 2 or trained[0].error is not None:
        failed = next(made.error for made in trained if made.error is not None)
        raise ValueError(
            f"{len(found)} of {len(trained) - 1} networks have finished, the first other: {failed}; raise "
            "classification.trials, or set another classification.seed"
        )
    return found


def record(plan: Sequence[Plan], trained: Sequence[Trained], folds: Sequence[Fold]) -> dict[str, Any]:
    """What was drawn, what it took, and on how many windows; the plain network is trial -1."""
    took = ("epochs", "fit_seconds", "parameters", "error")
    return {
        "trials": [
            {"trial": one["trial"], "point": one["point"], **{key: getattr(made, key) for key in took}}
            for one, made in zip(plan, trained, strict=True)
        ],
        "finished": [one["trial"] for one, made in zip(plan[1:], trained[1:], strict=True) if made.error is None],
        "blocks": len(folds),
        "fitted_windows": round(np.mean([len(one.fit.inputs) for one in folds])),
        "held_windows": sum(len(one.validate.inputs) for one in folds),
    }


def block(fold: Fold, test: Inputs, harmonics: int, outcome: Array) -> Block:
    """What the networks see, less the climatology of the weeks that this fit has; outcome: (n, leads, events)."""
    climatology = Climatology(harmonics).fit(fold.fit)
    scale = float((fold.fit.series - climatology.at(fold.fit.series_centres)).std())
    seen = [
        classifier.features(inputs, climatology.at(inputs.centres), scale)
        for inputs in (fold.fit.inputs, fold.validate.inputs, test)
    ]
    return Block(seen[0], outcome.reshape(len(outcome), -1), seen[1], seen[2])


def of_networks(
    event: str,
    place: int,
    events: int,
    plain: Trained,
    found: list[Trained],
    outcomes: Sequence[Array],
    config: ClassificationConfig,
) -> tuple[dict[str, Array], dict[str, Mapping[str, float]]]:
    """Chances (n, leads) of one of the events by each ensemble, and what each costs; outcomes: of each held-out block.

    A network's chance is the mean over its fits. Held-out windows are scored by votes on the other blocks alone.
    """
    outcome = np.concatenate(outcomes)
    blocks = np.repeat(np.arange(len(outcomes)), [len(one) for one in outcomes])

    def logits(values: Array) -> Array:
        mine: Array = values.reshape(*values.shape[:-1], -1, events)[..., place]
        return mine

    names = [f"trial {number}" for number in range(len(found))]

    def voted(rows: Array) -> dict[str, tuple[Vote, list[Trained]]]:
        held = Events(names, [logits(one.held)[rows] for one in found], outcome[rows], event)
        pools = {name: (one, found) for name, one in votes.votes(held, config.top, config.members).items()}
        return pools | {PLAIN: (votes.single(logits(plain.held)[rows], outcome[rows]), [plain])}

    turns = [(blocks == number, voted(blocks != number)) for number in range(len(outcomes))]
    made, costs = {}, {}
    for name, (vote, members) in voted(blocks >= 0).items():
        held = [turn[name][0].probability([logits(one.held)[rows] for one in members]) for rows, turn in turns]
        made[name] = vote.probability([logits(one.test) for one in members]).mean(axis=0)
        costs[name] = {
            **cost([members[row] for row in vote.members]),
            "held_cross_entropy": entropy(np.concatenate(held), outcome),
            "epistemic_share": epistemic_share(vote.parts([logits(one.test) for one in members])),
        }
    return made, costs


def of_baseline(
    build: Callable[[], Logistic | TrendClimatology],
    whole: Training,
    folds: Sequence[Fold],
    test: Inputs,
    came: Callable[[Inputs], Array],
) -> tuple[Array, dict[str, float]]:
    """Chances (n, leads) of one event by a baseline, and what it costs; without each block for the held-out windows."""
    held = [build().fit(one.fit, came(one.fit.inputs)).predict(one.validate.inputs) for one in folds]
    outcome = np.concatenate([came(one.validate.inputs) for one in folds])
    began = time.perf_counter()
    fitted = build().fit(whole, came(whole.inputs))
    seconds, began = time.perf_counter() - began, time.perf_counter()
    made = fitted.predict(test)
    return made, {
        "inference_seconds": (time.perf_counter() - began) / len(test),
        "parameters": fitted.parameters,
        "models": 1,
        "fit_seconds": seconds,
        "held_cross_entropy": entropy(np.concatenate(held), outcome),
    }


def epistemic_share(parts: Parts) -> float:
    return float(parts.epistemic.sum() / parts.total.sum())


def entropy(chance: Array, outcome: Array) -> float:
    return float(occurrence.entropy(chance, outcome).mean())


def cost(members: list[Trained]) -> dict[str, float]:
    keys = ("inference_seconds", "parameters", "fit_seconds")
    return {key: float(sum(getattr(one, key) for one in members)) for key in keys} | {"models": len(members)}


if __name__ == "__main__":
    with provenance.rule(snakemake):
        keras_engine.make_deterministic()
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.table) if snakemake.input.get("table") else None,
            (Path(snakemake.output.chances), Path(snakemake.output.trials)),
            Path(snakemake.params.folder),
            ClassificationConfig.model_validate(snakemake.params.config),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.params.harmonics,
            snakemake.params.code,
        )
