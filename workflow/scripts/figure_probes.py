"""Rule `figure_probes`: maps in, places through time out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import probes, style

METHOD = "recurrent_ensemble"
REFERENCE = "damped_persistence"


def main(maps: Path, figure: Path) -> None:
    read = artifacts.read_maps(maps)
    style.save(probes.draw(read, (METHOD, REFERENCE), [read.attrs]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.maps), Path(snakemake.output.figure))
