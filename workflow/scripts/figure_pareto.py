"""Rule `figure_pareto`: trials in, the Pareto set of loss and a second objective out, as a figure and a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podnas import artifacts, provenance, windows
from podnas.figures import pareto as drawing
from podnas.figures import style
from podnas.search import pareto


def main(
    trials: Path, train: Path, test_inputs: Path, figure: Path, table: Path, measure: str, stamp: Mapping[str, Any]
) -> None:
    training = artifacts.read_windows(train, artifacts.TRAINING)
    full = windows.stamped(stamp, training, artifacts.read_windows(test_inputs, artifacts.INPUTS))
    known = artifacts.read_table(trials)
    artifacts.write_text(table, pareto.trade_offs(known, measure).to_csv(index=False))
    style.save(drawing.draw(known, measure, [full]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.trials),
            Path(snakemake.input.train),
            Path(snakemake.input.test_inputs),
            Path(snakemake.output.figure),
            Path(snakemake.output.table),
            snakemake.params.measure,
            snakemake.params.stamp,
        )
