"""Rule `figure_ensembles`: what ensembles are made of in, its figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import ensembles, style


def main(selection: Path, scores: Path, figure: Path) -> None:
    stamp = artifacts.read_json(scores)["stamp"]
    style.save(ensembles.draw(artifacts.read_json(selection), stamp), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.selection), Path(snakemake.input.scores), Path(snakemake.output.figure))
