"""Rule `coarse`: the archive files of a year in, its weekly field out."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import FieldConfig, SourceConfig
from podnas.data import field, reading


def main(
    files: list[Path],
    mask: Path | None,
    output: Path,
    source: SourceConfig,
    config: FieldConfig,
    part: field.Part,
    processes: int,
) -> None:
    with reading.workers(processes, files) as executor:
        artifacts.write_field(output, field.build(files, mask, source, config, part, executor))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            [Path(file) for file in snakemake.input.files],
            Path(snakemake.input.mask) if snakemake.input.get("mask") else None,
            Path(snakemake.output.field),
            SourceConfig.model_validate(snakemake.params.source),
            FieldConfig.model_validate(snakemake.params.config),
            field.Part(**snakemake.params.part),
            snakemake.threads,
        )
