"""Rule `daymet_twin`: one synthetic year of DayMet, from real coefficients where they are at hand."""

from pathlib import Path

from podnas import provenance
from podnas.config import SourceConfig
from podnas.data import archive, synthetic_daymet


def main(table: Path, output: Path, year: int, config: SourceConfig) -> None:
    whole = synthetic_daymet.Part()
    part = synthetic_daymet.Part(config.rows or whole.rows, config.columns or whole.columns)
    data, seed = archive.data_folder(), config.residual_seed
    synthetic_daymet.write_years(table, data, output.parent, [year], seed, config.variable, part)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.table),
            Path(snakemake.output.file),
            int(snakemake.wildcards.year),
            SourceConfig.model_validate(snakemake.params.config),
        )
