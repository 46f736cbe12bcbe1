"""Rule `outlook`: the forecast that the last weeks begin and the record in, the outlook as JSON and text out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance
from podnas.verify import outlook, outlook_page, page
from podnas.verify.nino import Cpc


def main(
    forecasts: Path,
    members: Path,
    train: Path,
    table: Path,
    record: Path,
    outputs: tuple[Path, Path, Path],
    threshold: float,
    harmonics: int,
    stamp: Mapping[str, Any],
    title: str,
) -> None:
    made, about = artifacts.read_mixture(forecasts), artifacts.read_json(members)
    training, past = artifacts.read_windows(train, artifacts.TRAINING), artifacts.read_json(record)
    found = outlook.outlook(made, Cpc(artifacts.read_table(table)), training, threshold, harmonics)
    weeks = found["history"]["week"]
    last = found["leads"][-1]["week"]
    told = {key: str(value) for key, value in stamp.items()} | {
        "data_kind": training.attrs["data_kind"],
        "train_period": f"{str(training.time.values[0])[:10]} to {str(training.time.values[-1])[:10]}",
        "train_windows": str(training.sizes["init_time"]),
        "test_period": f"forecast from {weeks[-1]} to {last}",
        "test_windows": "1",
    }
    whole = {
        "stamp": told,
        **found,
        "weights": outlook.weights(about),
        "record": {key: past[key] for key in ("stamp", "windows", "leads", "scores", "claimed")},
    }
    artifacts.write_json(outputs[0], whole)
    text = outlook_page.outlook(title, whole, past)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.forecasts),
            Path(given.members),
            Path(given.train),
            Path(given.table),
            Path(given.record),
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            snakemake.params.threshold,
            snakemake.params.harmonics,
            snakemake.params.stamp,
            snakemake.params.title,
        )
