"""Rule `ensemble`: trained networks in; forecasts of the ensemble, of its first member and of held-out blocks out."""

from pathlib import Path

from podnas import artifacts, provenance, windows
from podnas.ensemble import combine
from podnas.networks import corrections, store
from podnas.networks.recipe import Recipe


def main(train: Path, test_inputs: Path, catalogue: Path, ensemble: Path, best: Path, held_out: Path) -> None:
    dataset = artifacts.read_windows(train, artifacts.TRAINING)
    test = artifacts.read_windows(test_inputs, artifacts.INPUTS)
    periods = [windows.inputs(part, windows.scaler(dataset)) for part in (dataset, test)]
    data = windows.training(dataset)
    members: list[list[windows.Array]] = [[], []]
    of_block: dict[int, list[windows.Array]] = {}
    held: dict[int, windows.Inputs] = {}
    for member in artifacts.read_json(catalogue)["members"]:
        network = store.load(catalogue.parent / member["file"])
        # settings may be hyperparameters of the search: each member has its own
        recipe, block = Recipe.of(member["recipe"]), member["held_out_block"]
        correction = corrections.of_block(data, recipe, block)
        whole = corrections.of_all(data, recipe, correction)
        held[block] = windows.fold(data, recipe.windows, block).validate.inputs
        parts = [*((inputs, whole) for inputs in periods), (held[block], correction)]
        made = corrections.predict_each(network, parts, recipe)
        for forecasts, forecast in zip((*members, of_block.setdefault(block, [])), made, strict=True):
            forecasts.append(forecast)
    for path, forecasts in (
        (ensemble, (combine.mean(members[0]), combine.mean(members[1]))),
        (best, (members[0][0], members[1][0])),
    ):
        artifacts.write_prediction(path, windows.prediction(dataset, test, forecasts))
    blocks = {block: (held[block].init_time, combine.mean(of_block[block])) for block in sorted(held)}
    artifacts.write_held_out(held_out, windows.held_out(dataset, blocks))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.input.catalogue),
            Path(snakemake.output.ensemble),
            Path(snakemake.output.best),
            Path(snakemake.output.held_out),
        )
