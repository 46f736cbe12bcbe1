"""Rule `classified_score`: chances of events and the weeks of test targets in, their table as JSON and text out.

Test targets are read, and each reading is entered in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.config import ClassificationConfig
from podnas.networks import apart
from podnas.verify import classified, happened, ledger, page


def main(
    chances: Path,
    trials: Path,
    train: Path,
    test_targets: Path,
    table: Path | None,
    weeks: Path | None,
    outputs: tuple[Path, Path, Path],
    ledger_file: Path,
    config: ClassificationConfig,
    stamp: Mapping[str, Any],
    title: str,
) -> None:
    made, about = apart.kept(chances)[1], artifacts.read_json(trials)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    labels = happened.outcomes(
        config, training, table and artifacts.read_table(table), weeks and artifacts.read_coefficients(weeks)
    )
    starts = targets.valid_time.values
    known = labels.known(starts)
    came = labels.events(starts[known])
    found = {}
    for place, event in enumerate(labels.names):
        mine = {name: made[f"{event}_{name}"][known] for name in classified.ROWS}
        base = np.broadcast_to(made["base"][place], came[event].shape)
        found[event] = classified.summary(mine, came[event], base, about["costs"][event])
    told = {key: str(value) for key, value in windows.stamped(stamp, training, targets).items()}
    whole = {
        "stamp": told,
        "definition": labels.definition(),
        "search": f"{len(about['trials']) - 1} networks drawn, {len(about['finished'])} finished, each fitted without "
        f"each of {about['blocks']} blocks of the training weeks ({about['fitted_windows']} windows a fit on average), "
        f"chosen and calibrated on the {about['held_windows']} windows of these blocks.",
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
            for event in labels.names
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
            Path(given.table) if given.get("table") else None,
            Path(given.weeks) if given.get("weeks") else None,
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            Path(snakemake.params.ledger),
            ClassificationConfig.model_validate(snakemake.params.config),
            snakemake.params.stamp,
            snakemake.params.title,
        )
