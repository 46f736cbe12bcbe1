"""Rule `transfer_score`: forecasts of a transfer study and of the baselines in, its table as JSON and text out.

Test truth comes from the forecasts that rule `score` has set beside it; the look is entered in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.verify import ledger, page, transfer


def main(
    forecasts: Path,
    validation: Path,
    networks: Path,
    train: Path,
    simple: Mapping[str, Path],
    outputs: tuple[Path, Path, Path],
    ledger_file: Path,
    labels: Mapping[str, str],
    title: str,
) -> None:
    test = artifacts.read_transfer(forecasts)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    read = {name: artifacts.read_forecast(path) for name, path in simple.items()}
    one = next(iter(read.values()))
    truth = one.truth.reindex_like(test.init_time)
    made = {name: forecast.forecast.reindex_like(test.init_time) for name, forecast in read.items()}
    found = transfer.summary(
        test, truth, made, artifacts.read_transfer_validation(validation), windows.scaler(training)
    )
    about = artifacts.read_json(networks)
    stamp = {key: str(value) for key, value in one.attrs.items()}
    whole = {"stamp": stamp, "labels": dict(labels), **about, **found}
    artifacts.write_json(outputs[0], whole)
    text = transfer.page(title, whole, labels)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))
    ledger.append(ledger_file, entries(found, provenance.file_hash(forecasts)[:16], stamp["protocol"]))


def entries(found: Mapping[str, Any], configuration: str, protocol: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        {
            "time": now,
            "protocol": protocol,
            "method": f"transfer_{group}",
            "configuration": configuration,
            "r2_mean_test": score["r2_mean"],
            "skill_clim_test": score["skill_clim"],
        }
        for group, score in found["test"]["ensemble"].items()
    ]


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.forecasts),
            Path(snakemake.input.validation),
            Path(snakemake.input.networks),
            Path(snakemake.input.train),
            {Path(path).stem: Path(path) for path in snakemake.input.simple},
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            Path(snakemake.params.ledger),
            snakemake.params.labels,
            snakemake.params.title,
        )
