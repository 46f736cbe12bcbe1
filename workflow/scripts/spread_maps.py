"""Rule `spread_maps`: a probabilistic forecast and the field in; maps of its spread by part beside its error out.

It reads the field of the test weeks, which leaves a line in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.config import VerifyConfig
from podnas.reduction import truncation
from podnas.verify import ledger, physical, spread_maps


def main(
    train: Path,
    forecast: Path,
    field: Path,
    basis: Path,
    coefficients: Path,
    outputs: tuple[Path, Path],
    ledger_file: Path,
    config: VerifyConfig,
    train_last: str,
    stamp: Mapping[str, Any],
) -> None:
    artifact, modes = artifacts.read_probabilistic(forecast), artifacts.read_basis(basis)
    training = artifacts.read_windows(train, artifacts.TRAINING)
    stamp = windows.stamped(stamp, training, artifact)
    with artifacts.open_field(field) as weekly:
        truth = physical.Truth(weekly, modes, artifact.valid_time.values)
        regions = spread_maps.weights(truth, config.regions)
        known = artifacts.read_coefficients(coefficients)
        left_out = truncation.fit(weekly, modes, known, train_last, regions)
    made = spread_maps.maps(artifact, left_out, truth, config.map_lead_weeks).assign_attrs(stamp)
    found = {
        "units": truth.variable.unit,
        "map_lead_weeks": config.map_lead_weeks,
        "cells": spread_maps.cells(made),
        "regions": spread_maps.regions(artifact, left_out, truth, regions),
    }
    artifacts.write_spread_maps(outputs[0], made)
    artifacts.write_json(outputs[1], found)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "protocol": stamp["protocol"],
        "method": f"{forecast.stem}, in space",
        "configuration": provenance.file_hash(forecast)[:16],
        "spread_skill_of_cells": found["cells"]["spread_skill"],
    }
    ledger.append(ledger_file, [entry])


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.train),
            Path(given.forecast),
            Path(given.field),
            Path(given.basis),
            Path(given.coefficients),
            (Path(snakemake.output.maps), Path(snakemake.output.found)),
            Path(snakemake.params.ledger),
            VerifyConfig.model_validate(snakemake.params.config),
            snakemake.params.train_last,
            snakemake.params.stamp,
        )
