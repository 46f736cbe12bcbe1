"""Rule `ensemble`: trained networks and test inputs in, forecasts of the ensemble and of its first member out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import TrainingConfig, WindowsConfig
from podnas.ensemble import combine
from podnas.networks import store
from podnas.networks.build import predict


def main(
    train: Path,
    test_inputs: Path,
    catalogue: Path,
    ensemble: Path,
    best: Path,
    window: WindowsConfig,
    training: TrainingConfig,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    periods = [windows.inputs(part, windows.scaler(dataset)) for part in (dataset, test)]
    files = [catalogue.parent / member["file"] for member in artifacts.read_json(catalogue)["members"]]
    networks = [store.load(file) for file in files]
    settings = (window, training.output_scale)
    members = [[predict(network, inputs, *settings) for network in networks] for inputs in periods]
    for path, forecasts in (
        (ensemble, (combine.mean(members[0]), combine.mean(members[1]))),
        (best, (members[0][0], members[1][0])),
    ):
        artifacts.write_prediction(path, windows.prediction(dataset, test, forecasts))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.catalogue),
            Path(snakemake.output.recurrent_ensemble),
            Path(snakemake.output.recurrent_best),
            WindowsConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
        )
