"""Rule `manual_networks`: training windows and test inputs in, forecasts of hand-made stacked LSTMs out."""

from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import BaselinesConfig, TrainingConfig, WindowsConfig
from podnas.networks.recipe import Recipe
from podnas.networks.space import stacked_lstm
from podnas.networks.train import make_deterministic, predict, train
from podnas.progress import Progress


def main(
    train_windows: Path,
    test_inputs: Path,
    predictions: Mapping[int, Path],
    config: BaselinesConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
) -> None:
    make_deterministic()
    dataset = artifacts.read_windows(train_windows, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    data, inputs = windows.training(dataset), windows.inputs(test, windows.scaler(dataset))
    held = windows.fold(data, window, block=-1)
    recipe = Recipe(training, window, config.lstm_epochs, keep_best=True)
    progress = Progress(f"manual networks {name}", len(predictions))
    parts = (data.inputs, inputs)
    for units, path in predictions.items():
        trained = train(stacked_lstm(units, config.lstm_layers), held, recipe, seed=config.lstm_seed)
        forecasts = [predict(trained.model, part, window, training.output_scale) for part in parts]
        artifacts.write_prediction(path, windows.prediction(dataset, test, forecasts))
        progress.step(f"lstm_{units}: validation r2_mean {trained.validation_r2:.3f} in {trained.seconds:.0f} s")


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            {int(name.removeprefix("lstm_")): Path(path) for name, path in snakemake.output.items()},
            BaselinesConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.protocol,
        )
