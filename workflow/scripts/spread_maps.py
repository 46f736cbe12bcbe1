"""Rule `spread_maps`: probabilistic forecasts and the field in; maps of the spread by part beside the error out.

The headline's, with the climatology and the baseline that is best on these weeks beside it. It reads the field of the
test weeks, which leaves a line for each forecast in the ledger.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.config import VerifyConfig
from podnas.reduction import truncation
from podnas.verify import ledger, physical, probabilistic, spread_maps


def main(
    train: Path,
    scores: Path,
    forecasts: Mapping[str, Path],
    field: Path,
    basis: Path,
    coefficients: Path,
    outputs: tuple[Path, Path],
    ledger_file: Path,
    config: VerifyConfig,
    train_last: str,
    stamp: Mapping[str, Any],
) -> None:
    scored, modes = artifacts.read_json(scores), artifacts.read_basis(basis)
    headline, best = scored["headline"], scored["best_baseline"]
    paths = {name: forecasts[name] for name in dict.fromkeys((headline, best, probabilistic.REFERENCE))}
    read = {name: artifacts.read_probabilistic(path) for name, path in paths.items()}
    artifact, drawn = read[headline], probabilistic.with_record(scored["windows"], scored["block_weeks"])
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
        "headline": headline,
        "best_baseline": best,
        "cells": {
            name: spread_maps.cells(one, left_out, truth, config.map_lead_weeks, drawn) for name, one in read.items()
        },
        "regions": spread_maps.regions(read, best, left_out, truth, regions, drawn),
    }
    artifacts.write_spread_maps(outputs[0], made)
    artifacts.write_json(outputs[1], found)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ledger.append(
        ledger_file,
        [
            {
                "time": now,
                "protocol": stamp["protocol"],
                "method": f"{name}, in space",
                "configuration": provenance.file_hash(path)[:16],
                "spread_skill_of_cells": found["cells"][name]["spread_skill"]["value"],
            }
            for name, path in paths.items()
        ],
    )


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.input
        main(
            Path(given.train),
            Path(given.scores),
            {Path(path).stem: Path(path) for path in given.forecasts},
            Path(given.field),
            Path(given.basis),
            Path(given.coefficients),
            (Path(snakemake.output.maps), Path(snakemake.output.found)),
            Path(snakemake.params.ledger),
            VerifyConfig.model_validate(snakemake.params.config),
            snakemake.params.train_last,
            snakemake.params.stamp,
        )
