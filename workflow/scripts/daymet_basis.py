"""Rule `daymet_basis`: a twin's field and the coefficients behind it in, their maps out."""

from datetime import date
from pathlib import Path

from podnas import artifacts, provenance
from podnas.reduction import daymet_released


def main(field: Path, coefficients: Path, basis: Path, train_last: date) -> None:
    with artifacts.open_field(field) as weekly:
        known = artifacts.read_coefficients(coefficients)
        artifacts.write_basis(basis, daymet_released.basis(weekly, known, train_last))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.field),
            Path(snakemake.input.coefficients),
            Path(snakemake.output.basis),
            date.fromisoformat(snakemake.params.train_last),
        )
