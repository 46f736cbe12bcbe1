"""Rule `index`: CPC's newest file or the committed table in; the series that forecasts see, and the table, out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.data import nino


def main(committed: Path, coefficients: Path, table: Path, newest: bool) -> None:
    path, origin = nino.provide(committed, coefficients.parent, newest)
    read = nino.read(path)
    artifacts.write_coefficients(coefficients, nino.series(read, origin))
    artifacts.write_table(table, read)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.committed),
            Path(snakemake.output.coefficients),
            Path(snakemake.output.table),
            snakemake.params.newest,
        )
