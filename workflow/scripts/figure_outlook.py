"""Rule `figure_outlook`: the outlook in; fan chart, chances of warm and cold weeks, parts of the variance out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import outlook, style


def main(found: Path, figure: Path) -> None:
    style.save(outlook.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
