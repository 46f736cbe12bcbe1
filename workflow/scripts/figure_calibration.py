"""Rule `figure_calibration`: scores of a protocol in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import calibration, style


def main(given: Path, figure: Path) -> None:
    style.save(calibration.draw(artifacts.read_json(given)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.scores), Path(snakemake.output.figure))
