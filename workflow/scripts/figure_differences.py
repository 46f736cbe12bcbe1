"""Rule `figure_differences`: differences from all baselines in, their figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import differences, style


def main(found: Path, figure: Path) -> None:
    style.save(differences.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.differences), Path(snakemake.output.figure))
