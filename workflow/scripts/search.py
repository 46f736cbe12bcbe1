"""Rule `search`: training windows in, the table of all trials out; a killed search goes on from its trial logs."""

import os
import time
from pathlib import Path

from podnas import artifacts, provenance
from podnas.cluster import deadline, layout
from podnas.config import SearchConfig, TrainingConfig, WindowsConfig
from podnas.networks import searching
from podnas.parallel import launch
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
    place: layout.Place,
    started: float,
) -> None:
    config = config.model_copy(update=place.width(config))
    data = searching.Data(train, config, training, window)
    engine = data.engine(place.workers)
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
        workers=place.workers,
        end=deadline.end_of_job(place.minutes, started) if place.scheduler else None,
        exchange=config.exchange,
    )
    if place.launcher is not None:
        os.environ[launch.LAUNCHER] = place.launcher
    outcomes = searching.run_in_time(job, data, started)
    searching.check_any_finished(outcomes, job.folder)
    artifacts.write_table(trials, log.table(outcomes, config.two_step))


if __name__ == "__main__":
    begun = time.time()
    with provenance.rule(snakemake):
        main(
            Path(snakemake.input.train),
            Path(snakemake.output.trials),
            Path(snakemake.params.trial_logs),
            SearchConfig.model_validate(snakemake.params.config),
            TrainingConfig.model_validate(snakemake.params.training),
            WindowsConfig.model_validate(snakemake.params.windows),
            snakemake.wildcards.run,
            snakemake.params.code,
            layout.place(snakemake.threads, dict(snakemake.resources.items()), snakemake.params.config["ranks"]),
            begun,
        )
