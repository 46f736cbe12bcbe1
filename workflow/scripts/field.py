"""Rule `field`: archive files in, or the fields of their years, the weekly field out."""

from contextlib import ExitStack
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
    processes: int = 1,
) -> None:
    with reading.workers(processes, files) as executor:
        artifacts.write_field(output, field.build(files, mask, source, config, executor=executor))


def join(years: list[Path], output: Path, source: SourceConfig, config: FieldConfig) -> None:
    with artifacts.streaming(), ExitStack() as opened:
        parts = [opened.enter_context(artifacts.open_field(year)) for year in years]
        artifacts.write_field(output, field.join(parts, source, config))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        output = Path(snakemake.output.field)
        source = SourceConfig.model_validate(snakemake.params.source)
        config = FieldConfig.model_validate(snakemake.params.config)
        if snakemake.input.get("years"):
            join([Path(year) for year in snakemake.input.years], output, source, config)
        else:
            mask = Path(snakemake.input.mask) if snakemake.input.get("mask") else None
            files = [Path(file) for file in snakemake.input.files]
            main(files, mask, output, source, config, snakemake.threads)
