"""Rule `ensemble`: trained networks and test inputs in, forecasts of the ensemble and of its first member out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.ensemble import combine
from podnas.networks import corrections, store
from podnas.networks.recipe import Recipe


def main(
    train: Path,
    test_inputs: Path,
    catalogue: Path,
    ensemble: Path,
    best: Path,
) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    periods = [windows.inputs(part, windows.scaler(dataset)) for part in (dataset, test)]
    data = windows.training(dataset)
    members: list[list[windows.Array]] = [[], []]
    for member in artifacts.read_json(catalogue)["members"]:
        network = store.load(catalogue.parent / member["file"])
        # settings may be hyperparameters of the search: each member has its own
        recipe = Recipe.of(member["recipe"])
        correction = corrections.of_block(data, recipe, member["held_out_block"])
        for forecasts, inputs in zip(members, periods, strict=True):
            forecasts.append(corrections.predict(network, inputs, recipe, correction))
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
        )
