"""Rule `figure_rmse_map`: maps in, RMSE of the ensemble and of a reference out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import rmse_map, style

METHOD = "recurrent_ensemble"
REFERENCE = "damped_persistence"


def main(maps: Path, figure: Path) -> None:
    read = artifacts.read_maps(maps)
    style.save(rmse_map.draw(read, METHOD, REFERENCE, [read.attrs]), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.maps), Path(snakemake.output.figure))
