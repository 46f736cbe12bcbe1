"""How small step 1 of a two-step search may be: random architectures trained on several shares of the windows.

    python benchmarks/two_step.py

The same architectures are trained on a share p of the training windows of the default experiment's short protocol, for
each p (step 1), and on all of them from other initial weights (step 2). With p = 1 the two differ by their weights and
batches alone, so its correlation is the most that any p could reach. Losses are on the validation block, inside the
training period. Written: Spearman's correlations, cost, guidance by resampling and top models to
`results/bench/two_step.json`, and the rank diagrams. 400 architectures take about ten minutes on two cores.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from podnas import artifacts, config, provenance, windows
from podnas.config import ExperimentConfig
from podnas.figures import style, two_step
from podnas.networks import engines
from podnas.networks.evaluate import PopulationEvaluator
from podnas.networks.recipe import Recipe
from podnas.networks.space import architecture_space
from podnas.progress import Progress
from podnas.search import log, steps
from podnas.search.encoding import Encoding
from podnas.search.numbers import Numbers
from podnas.search.protocol import Outcome, Trial
from podnas.search.random import RandomSearch
from podnas.windows import Subset

PROTOCOL = "short"
SHARES = [1.0, 0.5, 0.25, 0.1]
SHOWN = 50  # trials a line of progress


def trials(count: int, shares: Sequence[float], seed: int) -> list[Trial]:
    """Step 1 of each share, then step 2; step 1 has the same weights and batches in all shares, step 2 has others."""
    drawn = RandomSearch(Encoding(architecture_space()), Numbers(count), seed).ask(count)
    first = [Trial(trial.number, trial.point, share=share) for share in shares for trial in drawn]
    return first + [Trial(count + trial.number, trial.point, parent=trial.number) for trial in drawn]


def train(todo: Sequence[Trial], evaluator: PopulationEvaluator) -> list[Outcome]:
    """Outcomes in the order in which the trials finish."""
    progress, outcomes = Progress("two-step study", len(todo)), []
    for trial in todo:
        evaluator.submit(trial)
    for place in range(len(todo)):
        outcome = evaluator.finished()
        assert outcome is not None  # there is no time limit
        outcomes.append(outcome)
        progress.step(f"trial {outcome.trial.number}, loss {outcome.loss}", False, shown=place % SHOWN == 0)
    return outcomes


def study(outcomes: Sequence[Outcome], share: float, count: int) -> pd.DataFrame:
    """Trials of both steps with one share."""
    first = [o for o in outcomes if o.trial.number < count and o.trial.share == share]
    second = [o for o in outcomes if o.trial.number >= count]
    return log.table([*first, *second], None).assign(step=[1] * len(first) + [2] * len(second))


def record(studies: Mapping[float, pd.DataFrame], regret: float) -> dict[str, Any]:
    """What each share has shown, and the cheapest choice of share, number of trials and share repeated."""
    guide = steps.guidance(studies, regret)
    guide["rows"] = steps.choices(pd.DataFrame(guide["rows"])).to_dict("records")
    reports = {f"{share:g}": steps.report(table) for share, table in studies.items()}
    return {
        "shares": {
            share: {key: found[key] for key in ("spearman", "cost", "top_models")} for share, found in reports.items()
        },
        "guidance": {**guide, "rows_are": "those that no other row beats in both cost and regret"},
    }


def stamp(experiment: ExperimentConfig, train_windows: Path, seed: int) -> dict[str, Any]:
    """What the figure says of itself."""
    periods = experiment.protocol(PROTOCOL)
    training = artifacts.read_windows(train_windows, artifacts.TRAINING)
    test = artifacts.read_windows(train_windows.with_name("test_inputs.nc"), artifacts.INPUTS)
    known = {
        "experiment": "benchmark two_step",
        "coefficients": "real, as released",
        "protocol": PROTOCOL,
        "train_period": f"{periods.train_first} to {periods.train_last}",
        "test_period": f"{periods.test_first} to {periods.test_last}",
        "seeds": f"search {seed}",
    }
    return windows.stamped(known, training, test)


def main(
    count: Annotated[int, typer.Option("--trials", min=3, help="architectures")] = 400,
    shares: Annotated[list[float], typer.Option("--share", help="share of the windows in step 1")] = SHARES,
    epochs: Annotated[int, typer.Option(min=1, help="epochs of a training")] = 20,
    subset: Annotated[Subset, typer.Option(help="which windows")] = "latest",
    regret: Annotated[float, typer.Option(help="loss above the least that the guidance allows")] = steps.REGRET,
    seed: Annotated[int, typer.Option(help="seed of architectures, weights and batches")] = 0,
    train_windows: Annotated[Path, typer.Option(help="training windows of the default experiment")] = Path(
        "results/sst/windows/short/train.nc"
    ),
    out: Annotated[Path, typer.Option(help="JSON to write")] = Path("results/bench/two_step.json"),
    figure: Annotated[Path, typer.Option(help="figure to write")] = Path("docs/two_step.png"),
    workers: Annotated[int, typer.Option(min=1, help="cores")] = len(os.sched_getaffinity(0)),
) -> None:
    """Train random architectures on several shares of the windows and on all; write what the steps have shown."""
    if not train_windows.exists():
        raise typer.BadParameter(f"{train_windows} does not exist; make it with: snakemake --cores 2 {train_windows}")
    experiment = config.merge(Path("config/config.yaml"))
    data = windows.training(artifacts.read_windows(train_windows, artifacts.TRAINING))
    held = windows.fold(data, experiment.windows, block=-1)
    recipe = Recipe(experiment.training, experiment.windows, epochs, keep_best=False)
    with PopulationEvaluator(held, recipe, seed, engines.named("kernels"), workers, subset=subset) as evaluator:
        outcomes = train(trials(count, shares, seed), evaluator)
    studies = {share: study(outcomes, share, count) for share in sorted(shares, reverse=True)}
    settings = {"trials": count, "epochs": epochs, "subset": subset, "seed": seed, "workers": workers}
    made = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "benchmarks/two_step.py", *sys.argv[1:]]),
        **{key: value for key, value in provenance.machine().items() if key != "host"},
    }
    artifacts.write_json(out, {**made, "settings": settings, **record(studies, regret)})
    style.save(two_step.draw(studies, [stamp(experiment, train_windows, seed)]), figure)
    for share, table in studies.items():
        found = steps.correlation(table)
        typer.echo(f"p = {share:g}: {found['all']} over all trials, {found['within_top']} within the top")
    typer.echo(f"{out}, {figure}")


if __name__ == "__main__":
    typer.run(main)
