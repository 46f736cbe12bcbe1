"""Rule `search`: training windows in, the table of all trials out; a killed search goes on from its trial logs."""

from pathlib import Path

from podnas import artifacts, provenance
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import searching
from podnas.search import log

LEARNING = ("numba", "jax", "tensorflow-cpu", "keras", "numpy", "configspace")


def main(
    train: Path,
    trials: Path,
    trial_logs: Path,
    config: SearchConfig,
    training: TrainingConfig,
    window: WindowsConfig,
    name: str,
    code: str,
    workers: int,
) -> None:
    deadline = searching.deadline(config)
    data = searching.Data(train, config, training, window)
    workers = max(1, workers // config.ranks)
    engine = data.engine(workers)
    versions = provenance.versions(*LEARNING)
    job = searching.Job(
        name=name,
        train=train,
        logs=trial_logs,
        identity=searching.identity(data, config, code=code, engine=engine.name, **versions),
        search=config,
        training=training,
        windows=window,
        engine=engine.name,
        workers=workers,
        deadline=deadline,
        exchange=config.exchange,
    )
    outcomes = searching.run(job, data)
    searching.check_any_finished(outcomes, job.folder)
    artifacts.write_table(trials, log.table(outcomes, config.two_step))


if __name__ == "__main__":
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.output.trials),
            Path(snakemake.params.trial_logs),
            SearchConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.protocol,
            snakemake.params.code,
            snakemake.threads,
        )
