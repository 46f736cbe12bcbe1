"""Rule `outlook_score`: past forecasts of Niño 3.4 and test targets in, their record as JSON and text out.

Test targets are read, and each reading is entered in the ledger. Those of the sealed weeks are scored once: another
forecast of them is refused.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.verify import ledger, outlook, outlook_page, page
from podnas.verify.nino import Cpc


def main(
    forecasts: Path,
    members: Path,
    train: Path,
    test_targets: Path,
    table: Path,
    outputs: tuple[Path, Path, Path],
    ledger_file: Path,
    threshold: float,
    harmonics: int,
    stamp: Mapping[str, Any],
    sealed: bool,
    title: str,
) -> None:
    configuration = provenance.file_hash(forecasts)[:16]
    protocol = str(stamp["protocol"])
    if sealed:
        ledger.check_once(ledger_file, protocol, configuration)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    made, about = artifacts.read_mixture(forecasts), artifacts.read_json(members)
    cpc = Cpc(artifacts.read_table(table))
    found = outlook.record(made, targets.target.values[..., 0], cpc, training, threshold, harmonics)
    told = {key: str(value) for key, value in windows.stamped(stamp, training, targets).items()}
    held = about["held_out"]
    artifacts.write_json(outputs[0], {"stamp": told, "weights": outlook.weights(about), "held_out": held, **found})
    text = outlook_page.record(title, {"stamp": told, **found})
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ledger.append(
        ledger_file,
        [
            {
                "time": now,
                "protocol": protocol,
                "method": name,
                "configuration": configuration,
                "rmse_test": one["rmse"]["value"],
                "crps_test": one["crps"]["value"],
            }
            for name, one in found["scores"].items()
        ],
    )


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.forecasts),
            Path(given.members),
            Path(given.train),
            Path(given.test_targets),
            Path(given.table),
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            Path(snakemake.params.ledger),
            snakemake.params.threshold,
            snakemake.params.harmonics,
            snakemake.params.stamp,
            snakemake.params.sealed,
            snakemake.params.title,
        )
