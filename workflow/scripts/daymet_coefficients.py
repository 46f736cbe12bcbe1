"""Rule `daymet_coefficients`: the daily coefficients that the twin's files are made from in, weekly ones out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import FieldConfig, SourceConfig
from podnas.data import archive, synthetic_daymet
from podnas.reduction import daymet_released


def main(output: Path, modes: int, source: SourceConfig, config: FieldConfig, title: str) -> None:
    years = archive.years_made(source)
    daily = synthetic_daymet.series(archive.data_folder(), years, source.residual_seed)
    made = daymet_released.coefficients(daily, years, modes, config, source.joins, title)
    artifacts.write_coefficients(output, made)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.output.coefficients),
            snakemake.params.modes,
            SourceConfig.model_validate(snakemake.params.source),
            FieldConfig.model_validate(snakemake.params.field),
            snakemake.params.title,
        )
