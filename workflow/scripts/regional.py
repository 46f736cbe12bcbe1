"""Rule `regional`: the field in; the area mean of one region, as a series that windows are cut from, out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import RegionConfig
from podnas.data import regional


def main(field: Path, coefficients: Path, region: RegionConfig) -> None:
    artifacts.write_coefficients(coefficients, regional.series(artifacts.read_field(field), region))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.field),
            Path(snakemake.output.coefficients),
            RegionConfig.model_validate(snakemake.params.region),
        )
