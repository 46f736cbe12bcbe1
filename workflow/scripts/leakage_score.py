"""Rule `leakage_score`: forecasts of the leakage laboratory and test targets in, its table as JSON and text out.

Test targets are read, and each variant's reading is entered in the laboratory's ledger, which is no scorecard's.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from podnas import artifacts, provenance, windows
from podnas.config import LeakageConfig, ProtocolConfig
from podnas.verify import leaks, ledger, page


def main(
    forecasts: Path,
    networks: Path,
    train: Path,
    test_targets: Path,
    outputs: tuple[Path, Path, Path],
    ledger_file: Path,
    config: LeakageConfig,
    protocol: ProtocolConfig,
    stamp: Mapping[str, Any],
    title: str,
) -> None:
    made = artifacts.read_leakage(forecasts)
    targets = artifacts.read_windows(test_targets, artifacts.TARGETS)
    about = artifacts.read_json(networks)
    chosen = leaks.parts(made.valid_time, np.datetime64(protocol.test_first), config.weeks)
    found = leaks.summary(made, targets.target.reindex_like(made.init_time), about, chosen)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    told = {key: str(value) for key, value in windows.stamped(stamp, training, targets).items()}
    kept = {
        "recipe": about["recipe"],
        "budget": about["budget"],
        "leaked_weeks": config.weeks,
        "warning": leaks.LEAKY_SCORES,
    }
    whole = {"stamp": told, **kept, **found}
    artifacts.write_json(outputs[0], whole)
    text = leaks.page(title, whole)
    artifacts.write_text(outputs[1], text)
    artifacts.write_text(outputs[2], page.html(title, text))
    ledger.append(ledger_file, entries(found, provenance.file_hash(forecasts)[:16], protocol.name))


def entries(found: Mapping[str, Any], configuration: str, protocol: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [
        {
            "time": now,
            "protocol": protocol,
            "method": f"leakage:{one['variant']}",
            "configuration": configuration,
            "r2_mean_test": one["r2_mean"]["all"],
            "skill_clim_test": one["skill_clim"],
        }
        for one in found["variants"]
    ]


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.forecasts),
            Path(snakemake.input.networks),
            Path(snakemake.input.train),
            Path(snakemake.input.test_targets),
            (Path(snakemake.output.json), Path(snakemake.output.page), Path(snakemake.output.html)),
            Path(snakemake.params.ledger),
            LeakageConfig.model_validate(snakemake.params.config),
            ProtocolConfig.model_validate(snakemake.params.protocol),
            snakemake.params.stamp,
            snakemake.params.title,
        )
