"""Rule `ensemble`: trained networks and test inputs in, forecasts of the ensemble and of its first member out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.config import WindowsConfig
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
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    periods = [windows.inputs(part, windows.scaler(dataset)) for part in (dataset, test)]
    catalogued = artifacts.read_json(catalogue)["members"]
    # the output scale may be a hyperparameter of the search: each member has its own
    networks = [
        (store.load(catalogue.parent / member["file"]), member["recipe"]["settings"]["output_scale"])
        for member in catalogued
    ]
    members = [[predict(network, inputs, window, scale) for network, scale in networks] for inputs in periods]
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
        )
