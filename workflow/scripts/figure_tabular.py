"""Rule `figure_tabular`: the numbers of the tabular benchmark in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import style, tabular


def main(found: Path, figure: Path) -> None:
    style.save(tabular.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
