"""Rule `probabilistic_score`: probabilistic forecasts without truth in; their scores, and a fan with the truth, out.

Of the rules that make ensembles this one alone reads test targets, and each reading leaves a line in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.verify import ledger, probabilistic, uncertainty


def main(
    train: Path,
    test_targets: Path,
    selection: Path,
    forecasts: Mapping[str, Path],
    outputs: tuple[Path, Path],
    ledger_file: Path,
    seed: int,
    stamp: Mapping[str, Any],
) -> None:
    training = artifacts.read_windows(train, artifacts.TRAINING)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    stamp = windows.stamped(stamp, training, targets)
    made = artifacts.read_json(selection)
    read = {name: artifacts.read_probabilistic(path) for name, path in forecasts.items()}
    truth = windows.scaler(training).forward(targets.target.values)
    found = uncertainty.summary(read, made["baselines"], truth, made, seed)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ledger.append(
        ledger_file,
        [
            {
                "time": now,
                "protocol": stamp["protocol"],
                "method": name,
                "configuration": provenance.file_hash(path)[:16],
                "crps_test": found["forecasts"][name]["crps"]["value"],
                "r2_mean_test": found["forecasts"][name]["r2_mean"]["value"],
            }
            for name, path in forecasts.items()
        ],
        targets.valid_time.values,
    )
    artifacts.write_json(outputs[0], {"stamp": {key: str(value) for key, value in stamp.items()}, **found})
    fan = uncertainty.fan(read[found["headline"]], read[probabilistic.REFERENCE], targets)
    artifacts.write_fan(outputs[1], fan.assign_attrs(stamp))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.input.test_targets),
            Path(snakemake.input.selection),
            {Path(path).stem: Path(path) for path in snakemake.input.forecasts},
            (Path(snakemake.output.scores), Path(snakemake.output.fan)),
            Path(snakemake.params.ledger),
            snakemake.params.seed,
            snakemake.params.stamp,
        )
