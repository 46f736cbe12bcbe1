"""Rule `tabular_search`: a set in; forecasts of the scored rows of one split, without their targets, and trials out."""

from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from podnas import artifacts, provenance
from podnas.config import SearchConfig, TabularConfig
from podnas.search.report import Report
from podnas.tabular import sets, study

LEARNING = ("numpy", "scipy", "numba", "configspace")


def main(
    data: Path,
    number: int,
    outputs: tuple[Path, Path],
    logs: Path,
    config: TabularConfig,
    search: SearchConfig,
    code: str,
    threads: int,
) -> None:
    table = sets.read(data)
    identity = {"code": code, "set": table.name, "split": number, **provenance.versions(*LEARNING)}
    arrays, records, tables = {}, {}, []
    for variant in study.variants(table):
        report = Report(f"{table.name} {number} {variant}", search.trials, "validation NLL", nats, shown=False)
        split = study.rows(table, number, config, variant)
        with threadpool_limits(threads):
            made = study.run(split, number, config, search, logs, {**identity, "variant": variant}, report)
        report.progress.note(f"best validation NLL {report.best:.3f} of standardised targets")
        arrays[f"{variant}.scored"] = made.scored
        for name, mixture in made.mixtures.items():
            arrays |= {f"{variant}.{name}.{part}": values for part, values in vars(mixture).items()}
        records[variant] = made.record
        tables.append(made.trials.assign(variant=variant))
    artifacts.write_arrays(outputs[0], arrays, {"set": table.name, "split": number, "variants": records})
    artifacts.write_table(outputs[1], pd.concat(tables, ignore_index=True))


def nats(loss: float) -> str:
    return f"{loss:.3f}"


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.data),
            int(snakemake.wildcards.split),
            (Path(snakemake.output.forecasts), Path(snakemake.output.trials)),
            Path(snakemake.params.logs),
            TabularConfig.model_validate(snakemake.params.config),
            SearchConfig.model_validate(snakemake.params.search),
            snakemake.params.code,
            snakemake.threads,
        )
