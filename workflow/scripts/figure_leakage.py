"""Rule `figure_leakage`: the leakage laboratory's numbers in, its figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import leaks, style


def main(found: Path, figure: Path) -> None:
    style.save(leaks.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
