"""Rule `agreement`: our POD coefficients and the released ones in, how well they correlate out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.reduction import pod


def main(projected: Path, released: Path, agreement: Path) -> None:
    ours, theirs = artifacts.read_coefficients(projected), artifacts.read_coefficients(released)
    correlation = pod.agreement(ours, theirs)
    artifacts.write_json(agreement, {"weeks": theirs.sizes["time"], "absolute_correlation_by_mode": correlation})


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.projected),
            Path(snakemake.input.released),
            Path(snakemake.output.agreement),
        )
