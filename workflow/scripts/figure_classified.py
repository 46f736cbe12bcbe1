"""Rule `figure_classified`: numbers of the classifiers in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import classified, style


def main(found: Path, figure: Path) -> None:
    style.save(classified.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
