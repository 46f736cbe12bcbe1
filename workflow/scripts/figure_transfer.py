"""Rule `figure_transfer`: scores of a transfer study in, its figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import style
from podnas.figures import transfer as picture


def main(scores: Path, figure: Path) -> None:
    style.save(picture.draw(artifacts.read_json(scores)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
