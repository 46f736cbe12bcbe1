"""Rule `figure_judged`: the numbers of searches and ingredients that were judged in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import judged, style


def main(found: Path, figure: Path) -> None:
    style.save(judged.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
