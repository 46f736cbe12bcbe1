"""Rule `tabular_score`: forecasts of all splits in, their scores out.

This rule alone reads the targets of test rows, and each reading leaves lines in the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from podnas import artifacts, provenance
from podnas.tabular import sets
from podnas.verify import ledger, tabular


def main(
    data: Mapping[str, Path],
    forecasts: Sequence[Path],
    scores: Path,
    ledger_file: Path | None,
    floors: Sequence[float],
) -> None:
    targets = {name: sets.read(path).target for name, path in data.items()}
    rows: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for path in forecasts:
        record, arrays = artifacts.read_arrays(path)
        found = tabular.split_scores(record, arrays, targets[record["set"]], floors)
        rows += found
        entries += [entry(now, one, provenance.file_hash(path)[:16]) for one in found]
    artifacts.write_table(scores, pd.DataFrame(rows))
    if ledger_file is not None:
        ledger.append(ledger_file, entries)


def entry(now: str, row: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    return {
        "time": now,
        "protocol": f"{row['set']}_{row['split']}",
        "method": f"{row['method']}_{row['variant']}_{row['floor']:g}",
        "configuration": configuration,
        "rmse_test": row["rmse"],
        "nll_test": row["nll"],
    }


if __name__ == "__main__":
    with provenance.rule(snakemake):
        given = snakemake.params.ledger
        main(
            {Path(path).stem: Path(path) for path in snakemake.input.data},
            [Path(path) for path in snakemake.input.forecasts],
            Path(snakemake.output.scores),
            Path(given) if given else None,
            snakemake.params.floors,
        )
