"""Rule `manual_networks`: training windows and test inputs in, forecasts of hand-made stacked LSTMs out."""

from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import BaselinesConfig, TrainingConfig, WindowsConfig
from podnas.networks import corrections, engines
from podnas.networks.lanes import Lanes
from podnas.networks.recipe import Recipe
from podnas.networks.retrain import held_out, job, model
from podnas.networks.space import stacked_lstm
from podnas.progress import Progress


def main(
    train_windows: Path,
    test_inputs: Path,
    predictions: Mapping[int, Path],
    config: BaselinesConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    workers: int,
) -> None:
    dataset = artifacts.read_windows(train_windows, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, inputs = windows.training(dataset), windows.inputs(test, windows.scaler(dataset))
    recipe = Recipe(training, window, config.lstm_epochs, keep_best=True)
    points = {units: stacked_lstm(units, config.lstm_layers) for units in predictions}
    arrays = held_out(data, recipe, block=-1)
    correction = corrections.of_all(data, recipe, corrections.of_block(data, recipe, block=-1))
    jobs = {units: job(point, config.lstm_seed, arrays, recipe) for units, point in points.items()}
    engine = engines.choose(training, workers, lambda: list(jobs.values()))
    progress = Progress(f"manual networks {name}", len(predictions))
    with Lanes(engine, workers) as lanes:
        # the widest takes longest
        for units in sorted(jobs, reverse=True):
            lanes.submit(units, jobs[units])
        for _ in jobs:
            done = lanes.finished()
            network = model(points[done.key], done.state, data, recipe)
            forecasts = [corrections.predict(network, part, recipe, correction) for part in (data.inputs, inputs)]
            artifacts.write_prediction(predictions[done.key], windows.prediction(dataset, test, forecasts))
            r2 = done.state.validation_r2()
            progress.step(f"lstm_{done.key}: validation r2_mean {r2:.3f} in {done.seconds:.0f} s")


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            {int(name.removeprefix("lstm_")): Path(path) for name, path in snakemake.output.items()},
            BaselinesConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.origin,
            snakemake.threads,
        )
