"""Rule `classified_score`: chances of warm and cold weeks and test targets in, their table as JSON and text out.

Test targets are read, and each reading is entered in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.networks import apart
from podnas.verify import classified, ledger, page
from podnas.verify.nino import EVENTS, Cpc


def main(
    chances: Path,
    trials: Path,
    train: Path,
    test_targets: Path,
    table: Path,
    outputs: tuple[Path, Path, Path],
    ledger_file: Path,
    threshold: float,
    stamp: Mapping[str, Any],
    title: str,
) -> None:
    made, about = apart.kept(chances)[1], artifacts.read_json(trials)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    came = Cpc(artifacts.read_table(table)).events(targets.valid_time.values, threshold)
    found = {}
    for place, event in enumerate(EVENTS):
        mine = {name: made[f"{event}_{name}"] for name in classified.ROWS}
        base = np.broadcast_to(made["base"][place], came[event].shape)
        found[event] = classified.summary(mine, came[event], base, about["costs"][event])
    told = {key: str(value) for key, value in windows.stamped(stamp, training, targets).items()}
    whole = {
        "stamp": told,
        "search": f"{len(about['trials']) - 1} networks drawn, {len(about['finished'])} finished; fitted on "
        f"{about['fitted_windows']} windows, chosen and calibrated on {about['validation_windows']} of the last block.",
        "events": found,
    }
    artifacts.write_json(outputs[0], whole)
    text = classified.page(title, whole)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))
    now, configuration = datetime.now(UTC).isoformat(timespec="seconds"), provenance.file_hash(chances)[:16]
    ledger.append(
        ledger_file,
        [
            {
                "time": now,
                "protocol": str(stamp["protocol"]),
                "method": f"{event}:{name}",
                "configuration": configuration,
                "brier_test": one["brier"],
                "auc_test": one["auc"],
            }
            for event in EVENTS
            for name, one in found[event]["table"].items()
        ],
    )


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.chances),
            Path(given.trials),
            Path(given.train),
            Path(given.test_targets),
            Path(given.table),
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            Path(snakemake.params.ledger),
            snakemake.params.threshold,
            snakemake.params.stamp,
            snakemake.params.title,
        )
