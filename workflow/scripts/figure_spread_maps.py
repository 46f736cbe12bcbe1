"""Rule `figure_spread_maps`: maps of a spread by part and of the error in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import spread_maps, style


def main(given: Path, figure: Path) -> None:
    read = artifacts.read_spread_maps(given)
    style.save(spread_maps.draw(read, [read.attrs]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.maps), Path(snakemake.output.figure))
