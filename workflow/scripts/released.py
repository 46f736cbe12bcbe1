"""Rule `released`: the bundled table of SC20's coefficients in, a basis and coefficients like ours out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.reduction import released


def main(table: Path, field: Path, basis: Path, coefficients: Path) -> None:
    twin, weekly = artifacts.read_twin_table(table), artifacts.read_field(field)
    artifacts.write_basis(basis, released.basis(twin, weekly))
    artifacts.write_coefficients(coefficients, released.coefficients(twin, weekly))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.table),
            Path(snakemake.input.field),
            Path(snakemake.output.basis),
            Path(snakemake.output.coefficients),
        )
