"""Rule `figure_outlook_record`: the record of the outlook in, its figure out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.figures import outlook_record, style


def main(found: Path, figure: Path) -> None:
    style.save(outlook_record.draw(artifacts.read_json(found)), figure)


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(Path(snakemake.input.json), Path(snakemake.output.figure))
