"""Names shared by all rules: the validated configuration, paths, hashes of code."""

import functools

from podnas import config as podnas_config
from podnas import artifacts, locks, provenance, runs
from podnas.cluster import layout, left, limits, requests, site, slurm, submission
from podnas.data import archive as archives
from podnas.data import daymet_files

locks.guard(workflow.exec_mode.name)

if workflow.overwrite_configfiles and "experiment" not in workflow.config_settings.overwrite_config:
    raise ValueError(
        f"{workflow.overwrite_configfiles[0]} has no key `experiment`: it would write over the results of "
        f"`{config.get('experiment')}`; name the experiment in it"
    )

EXPERIMENT = podnas_config.load(config)
RESULTS = f"results/{EXPERIMENT.experiment}"
artifacts.check_writable(Path(RESULTS))
PROTOCOLS = [protocol.name for protocol in EXPERIMENT.protocols]
RELEASED = EXPERIMENT.pod.coefficients == "released"
BASIS = f"{RESULTS}/{'released' if RELEASED else 'reduction'}/basis.nc"
COEFFICIENTS = f"{RESULTS}/{'released' if RELEASED else 'reduction'}/coefficients.nc"
if EXPERIMENT.source.kind == podnas_config.INDEX:
    COEFFICIENTS = f"{RESULTS}/index/coefficients.nc"
HEATWAVES = EXPERIMENT.classification is not None and EXPERIMENT.classification.heatwaves is not None
if HEATWAVES:
    COEFFICIENTS = f"{RESULTS}/regional/coefficients.nc"
MANUAL = [f"lstm_{units}" for units in EXPERIMENT.baselines.lstm_units]
SYSTEMS = EXPERIMENT.system_names()
ENSEMBLES = [f"{system}_ensemble" for system in SYSTEMS]
COMPLETE = ["complete_system"] if EXPERIMENT.stack else []
# the complete system without its networks: a baseline, which shows what they bring
LINEAR = ["linear_stack"] if EXPERIMENT.stacked_systems() else []
# what is compared, and with what
OURS, COMPARED = [*ENSEMBLES, *COMPLETE], [*podnas_config.BASELINES, *LINEAR, *MANUAL]
METHODS = [*COMPARED, "recurrent_best", *OURS]
RUNS = runs.Runs(EXPERIMENT)
# protocols that are fitted once: those that search
SEARCHED = [protocol.name for protocol in EXPERIMENT.protocols if protocol.rolling is None]
ROLLING = [name for name in PROTOCOLS if name not in SEARCHED]
# refits of rolling protocols: runs, and the origins that they have in common
REFITS = {name for path, run in RUNS.by_path.items() if run.year is not None for name in (path, run.origin)}
ARCHIVE = archives.plan(EXPERIMENT.source, f"{RESULTS}/archive")

SCHEDULER = layout.scheduler(workflow.resource_settings.default_resources)
SITE = site.load() if SCHEDULER else site.SiteConfig()
if SCHEDULER == "generic":
    layout.check_scripts(SITE)
# not on the nodes
SUBMITTING = SCHEDULER is not None and workflow.exec_mode.name == "DEFAULT"
# asked once
ASKED = SUBMITTING and SCHEDULER == "slurm"
LIMITS = slurm.check(SITE) if ASKED else limits.Limits.of(SITE)
SEARCH = layout.search(SITE, EXPERIMENT, SCHEDULER)
# not on the node, where Snakemake would begin the search again in what is left of the job's time
RESUBMISSIONS = SITE.searches.resubmissions if SUBMITTING else 0
SHARES = layout.shares(SITE, EXPERIMENT, SCHEDULER)
REQUESTS = requests.Requests(EXPERIMENT, Path(RESULTS), LIMITS, ARCHIVE.files, SHARES)


onstart:
    if ASKED:
        slurm.check_answers()
    if SUBMITTING:
        submission.check(planned(), SITE, LIMITS, layout.ARRAYS if ASKED else ())
    if ASKED:
        left.cancel(Path.cwd(), locks.living())


wildcard_constraints:
    protocol="|".join(PROTOCOLS),
    origin="|".join(RUNS.origins()),
    run="|".join(RUNS.by_path),
    system="|".join(SYSTEMS),


def section(name, *keys):
    """One section of the configuration, or those of its keys that are named, and nothing else, as a rule's parameter."""
    return getattr(EXPERIMENT, name).model_dump(mode="json", include=set(keys) or None)


def own(name):
    """One section as the networks of a run have it."""
    return lambda wildcards: getattr(RUNS.config(wildcards.run), name).model_dump(mode="json")


def training_windows(wildcards):
    """Training windows of a run."""
    return f"{RESULTS}/windows/{RUNS.by_path[wildcards.run].origin}/train.nc"


def found(wildcards):
    """Trials that the architectures of a run come from; a refit's from the search on the first training period."""
    return f"{RESULTS}/search/{RUNS.architectures(wildcards.run)}/trials.parquet"


def shares(wildcards):
    """Catalogues of a run's shares; a refit is trained by one job."""
    count = SHARES if SHARES > 1 and RUNS.by_path[wildcards.run].year is None else 0
    return [f"{RESULTS}/networks/{wildcards.run}/share_{k}_of_{SHARES}.json" for k in range(count)]


def place(wildcards):
    """What a job's work depends on: its run, its origin, its protocol or its set of data."""
    return next((wildcards[key] for key in ("run", "origin", "protocol", "table") if key in wildcards.keys()), None)


def job_group(rulename):
    """Group of a rule's jobs where they are submitted, which follows from the origin of each."""
    if SCHEDULER is None:
        return None
    return lambda wildcards: layout.group(
        SITE, rulename, RUNS.by_path[wildcards.run].origin if "run" in wildcards.keys() else wildcards.origin
    )


def planned():
    """Jobs and groups that are about to be submitted; what each asks for is asked here, before the first is."""
    wholes = {}
    for job in workflow.dag.needrun_jobs():
        whole = workflow.dag.get_job_group(job) or job
        if not whole.is_local:
            wholes[whole.jobid] = whole
    return [
        submission.Planned(
            whole.name,
            int(whole.resources.mem_mb),
            int(whole.resources.runtime),
            len(whole.jobs) if whole.is_group() else 1,
        )
        for whole in wholes.values()
    ]


@functools.cache
def code_hash(script):
    """Content hash of an adaptor and of the modules it imports."""
    file = Path(workflow.basedir) / "workflow" / "scripts" / f"{script}.py"
    return provenance.code_hash(file, known=provenance.KNOWN)


def code(script):
    """The hash of code as a parameter: editing adaptor or modules reruns the rule."""
    # only for rules that have a job: on the node of a cluster, that is one
    return lambda wildcards: code_hash(script)


def memory(wildcards, attempt, threads, rulename):
    """Memory that a job asks for (MB): what it took before or should take, more after a failure."""
    return REQUESTS.of(rulename, place(wildcards), attempt, threads).memory_mb


def minutes(wildcards, attempt, threads, rulename):
    """Run time that a job asks for (minutes), likewise."""
    return REQUESTS.of(rulename, place(wildcards), attempt, threads).minutes


def training_cores(wildcards):
    """Cores of a job that trains networks: one in a refit of a rolling protocol, since these run side by side."""
    return 1 if place(wildcards) in REFITS else EXPERIMENT.resources.search_threads


def search_request(key):
    """One resource of a search, which may have ranks on several nodes."""
    return lambda wildcards, attempt: REQUESTS.of_search(SEARCH, wildcards.run, attempt)[key]


def work(wildcards, threads, rulename):
    """Work of a job in its rule's unit: Snakemake keeps it in the benchmark file, beside what the job took."""
    return REQUESTS.estimate(rulename, place(wildcards), threads).work


def seeds():
    """All seeds behind an experiment's numbers, as one text."""
    named = {
        "search": EXPERIMENT.search.seed,
        "ensemble": EXPERIMENT.ensemble.seed,
        "manual networks": EXPERIMENT.baselines.lstm_seed,
        "trees": EXPERIMENT.baselines.trees_seed,
    }
    if EXPERIMENT.uncertainty is not None:
        named = {"search": EXPERIMENT.search.seed, "candidates": EXPERIMENT.uncertainty.seed}
    if EXPERIMENT.source.kind in podnas_config.TWINS:
        named["twin residual"] = EXPERIMENT.source.residual_seed
    return ", ".join(f"{name} {seed}" for name, seed in named.items())


def coefficients_kind():
    """What the coefficients are, as every forecast and figure says."""
    if not RELEASED:
        from podnas import windows

        return windows.PROJECTED
    if EXPERIMENT.source.kind == "twin" or daymet_files.real_coefficients(archives.data_folder()):
        return "real, as released"
    return f"synthetic, of a seasonal model (seed {EXPERIMENT.source.residual_seed})"


def stamp(protocol):
    """What every forecast and figure of a protocol says of itself; the kind of data and numbers come with the windows."""
    periods, corrected = EXPERIMENT.protocol(protocol), EXPERIMENT.training.corrects
    every = periods.rolling and periods.rolling.every_years
    refitted = f", refitted every {f'{every} years' if every > 1 else 'year'} on all the past" if every else ""
    return {
        "experiment": EXPERIMENT.experiment + (f" (networks correct {corrected})" if corrected else ""),
        "coefficients": coefficients_kind(),
        "protocol": protocol,
        "train_period": f"{periods.train_first} to {periods.train_last}{refitted}",
        "test_period": f"{periods.test_first} to {periods.test_last}",
        "seeds": seeds(),
    }


def tabular_stamp(splits):
    """What the scorecard and the figure of so many splits of tables say of themselves."""
    asked, search = EXPERIMENT.tabular, EXPERIMENT.search
    scored = "test rows" if asked.scored == "test" else "pseudo-test rows, drawn from the training rows"
    trials = f"{search.trials} trials ({search.algorithm}) of {asked.folds} networks"
    return {
        "scope": f"{trials} each inside the training rows of every split; scored: {scored}.",
        "footer": [
            f"Data: {asked.folder}, {len(asked.sets)} sets, {splits} splits",
            f"experiment {EXPERIMENT.experiment}",
            f"scored: {scored}",
            f"{trials} a split",
            f"seed {asked.seed}",
        ],
    }


def verification(protocol):
    """The section `verify`, with the events that this protocol forecasts."""
    chosen = EXPERIMENT.verify.model_copy(update={"events": EXPERIMENT.events(protocol)})
    return chosen.model_dump(mode="json")


def wanted():
    """What a run without a target makes: scorecard, costs and figures, or a study that stands alone."""
    if EXPERIMENT.tabular is not None:
        return [f"{RESULTS}/scorecard.json", f"{RESULTS}/scorecard.md", f"{RESULTS}/figures/tabular.png"]
    if EXPERIMENT.outlook is not None:
        record = EXPERIMENT.outlook.protocol
        pages = [f"{RESULTS}/{name}.md" for name in ("outlook", record)]
        return pages + [f"{RESULTS}/figures/{name}.png" for name in ("outlook", f"outlook_{record}")]
    if EXPERIMENT.classification is not None:
        return [f"{RESULTS}/classified.md", f"{RESULTS}/figures/classified.png"]
    asked = {"leakage": EXPERIMENT.leakage, "judged": EXPERIMENT.judged}
    alone = [name for name, section in asked.items() if section is not None]
    files = [file for name in alone for file in (f"{RESULTS}/{name}.md", f"{RESULTS}/figures/{name}.png")]
    if EXPERIMENT.uncertainty is not None:
        drawn = ["fan", "calibration", "spread_skill", "ensembles"]
        drawn += ["spread_maps"] if EXPERIMENT.source.kind not in podnas_config.TWINS else []
        drawn += ["trajectory", "architectures"]
        files += [f"{RESULTS}/verification.{ending}" for ending in ("json", "md")]
        files += [f"{RESULTS}/figures/{name}_{protocol}.png" for protocol in SEARCHED for name in drawn]
    if files:
        return files
    return [f"{RESULTS}/scorecard.md", f"{RESULTS}/scorecard.json", f"{RESULTS}/costs.csv", *figure_files()]


def figure_files():
    """All figures of the experiment; event weeks, probes, second step and objective only where there are some."""
    drawn = ["coefficients", "skill", "rmse_map", "methods", "differences"]
    drawn += ["probes"] if EXPERIMENT.verify.probes else []
    of_search = ["trajectory", "architectures"]
    of_search += ["two_step"] if EXPERIMENT.search.two_step else []
    of_search += ["pareto"] if EXPERIMENT.search.second_objective else []
    of_search += ["transfer"] if EXPERIMENT.transfer.catalogue else []
    names = ["spectrum", "modes"] + [f"{name}_{protocol}" for protocol in PROTOCOLS for name in drawn]
    names += [f"{name}_{protocol}" for protocol in SEARCHED for name in of_search]
    names += [f"events_{protocol}" for protocol in PROTOCOLS if EXPERIMENT.events(protocol)]
    return [f"{RESULTS}/figures/{name}.png" for name in names] + search_reports()


def search_reports():
    """What the two steps of a search have shown, of each protocol."""
    return [f"{RESULTS}/search/{protocol}/two_step.json" for protocol in SEARCHED if EXPERIMENT.search.two_step]
