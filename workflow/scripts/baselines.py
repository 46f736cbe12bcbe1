"""Rule `baselines`: training windows and test inputs in, a forecast of every baseline without a network out."""

import logging
from collections.abc import Mapping
from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.baselines import methods
from podnas.config import BaselinesConfig, WindowsConfig


def main(
    train: Path,
    test_inputs: Path,
    predictions: Mapping[str, Path],
    config: BaselinesConfig,
    window: WindowsConfig,
    threads: int,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    training, inputs = windows.training(dataset), windows.inputs(test, windows.scaler(dataset))
    for name, path in predictions.items():
        method = methods.build(name, config, window, threads).fit(training)
        logging.getLogger("podnas").info("%s fitted on %d windows", name, len(training.inputs))
        forecasts = (method.predict(training.inputs), method.predict(inputs))
        artifacts.write_prediction(path, windows.prediction(dataset, test, forecasts))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            {name: Path(path) for name, path in snakemake.output.items()},
            BaselinesConfig.model_validate(snakemake.params.config),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.threads,
        )
