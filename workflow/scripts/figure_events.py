"""Rule `figure_events`: maps in, event weeks as truth, forecast and error out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import events, style

METHOD = "recurrent_ensemble"


def main(maps: Path, figure: Path) -> None:
    read = artifacts.read_maps(maps)
    style.save(events.draw(read, METHOD, [read.attrs]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.maps), Path(snakemake.output.figure))
