"""What jobs ask for: by their work, by what they took before, more after a failure, within the cluster's bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from podnas import config
from podnas.cluster import deadline, layout
from podnas.cluster.limits import Limits
from podnas.cluster.requests import Requests
from podnas.cluster.site import SearchSite, SiteConfig

ROOT = Path(__file__).parents[2]
DEFAULT = config.merge(ROOT / "config" / "config.yaml")
TINY = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "tiny.yaml")
UNBOUNDED = Limits()
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"


def requests(folder: Path, experiment=DEFAULT, limits=UNBOUNDED, files=()) -> Requests:
    return Requests(experiment, folder, limits, files)


def measured(folder: Path, job: str, seconds: float, memory_mb: float | str, work: int | None = None) -> None:
    """A benchmark file as Snakemake writes it, with --benchmark-extended where the work is given."""
    file = folder / "benchmarks" / f"{job}.tsv"
    file.parent.mkdir(exist_ok=True)
    row = f"{seconds}\t0:00:01\t{memory_mb}\t1\t1\t1\t0\t0\t50\t1"
    more = "" if work is None else f"\t{{'scheduler': 'slurm', 'work': {work}}}"
    file.write_text(f"{HEADER}{'' if work is None else chr(9) + 'resources'}\n{row}{more}\n")


def changed(**search):
    return DEFAULT.model_copy(update={"search": DEFAULT.search.model_copy(update=search)})


def test_windows_are_counted_as_the_rule_windows_cuts_them() -> None:
    # 427 weeks from 1981-10-29 to 1989-12-28, minus 8 + 8 - 1
    assert requests(Path()).windows("short") == 412


def test_a_small_job_asks_for_what_the_experiment_says() -> None:
    asked = requests(Path("nowhere")).of("figure_skill", "short")
    assert (asked.memory_mb, asked.minutes) == (1000, 10)


def test_more_work_asks_for_more_time() -> None:
    default = requests(Path("nowhere")).of("search", "short", cores=2)
    wide = requests(Path("nowhere"), changed(trials=200_000)).of("search", "short", cores=2)
    assert default.minutes == 120
    # 412 windows, 30 epochs, 200,000 trials on .5 of the windows and .05 of them again on all, 1.2e-4 s each, 2 cores
    assert wide.minutes == pytest.approx(2 + 412 * 30 * 200_000 * 0.55 * 1.2e-4 / 2 / 60, abs=1)
    assert wide.work == 500 * default.work


def test_large_archives_ask_for_more_time(tmp_path: Path) -> None:
    file = tmp_path / "large.nc"
    with file.open("wb") as stream:
        stream.truncate(48_000_000_000)  # sparse
    assert requests(tmp_path, files=[file, tmp_path / "missing.nc"]).of("field").minutes == 2 + 48_000 / 8 / 60
    assert requests(tmp_path).of("field").minutes == 30


def test_memory_of_pod_follows_its_bound() -> None:
    large = DEFAULT.model_copy(update={"pod": DEFAULT.pod.model_copy(update={"memory_gb": 16.0})})
    assert requests(Path(), large).of("pod").memory_mb > 1.3 * 16_000


def test_the_first_attempt_asks_for_what_was_measured(tmp_path: Path) -> None:
    measured(tmp_path, "baselines_short", 600, 2000)
    asked = requests(tmp_path).of("baselines", "short")
    assert (asked.memory_mb, asked.minutes) == (300 + 1.3 * 2000, 2 + 2 * 10)
    assert requests(tmp_path).of("baselines", "long").memory_mb == 1000


def test_a_measured_time_is_scaled_by_the_work(tmp_path: Path) -> None:
    work = requests(tmp_path).estimate("search", "short").work
    measured(tmp_path, "search_short", 600, 400, work=work)
    assert requests(tmp_path).of("search", "short", cores=2).minutes == 2 + 2 * 10
    assert requests(tmp_path, changed(trials=4000)).of("search", "short", cores=2).minutes == 2 + 2 * 100


def test_jobs_of_an_array_ask_for_what_the_largest_took(tmp_path: Path) -> None:
    for year, memory in ((2000, 1000), (2001, 1500)):
        measured(tmp_path, f"coarse.{year}", 60, memory)
    assert requests(tmp_path).of("coarse").memory_mb == 300 + 1.3 * 1500


def test_jobs_too_short_to_be_measured_are_left_out(tmp_path: Path) -> None:
    measured(tmp_path, "agreement", 0.1, "NA")
    assert requests(tmp_path).of("agreement").memory_mb == 1000


def test_a_damaged_benchmark_file_is_named(tmp_path: Path) -> None:
    measured(tmp_path, "pod", 1, "much")
    with pytest.raises(ValueError, match=r"pod\.tsv is no benchmark file .* remove it"):
        requests(tmp_path).of("pod")


def test_after_a_failure_more_is_asked_for_up_to_the_bounds(tmp_path: Path) -> None:
    measured(tmp_path, "baselines_short", 60, 500)
    memory = [requests(tmp_path).of("baselines", "short", attempt).memory_mb for attempt in (1, 2, 3)]
    assert memory == [950, 2000, 3000]  # from the second on, multiples of the larger of measurement and estimate
    assert requests(tmp_path).of("baselines", "short", 20).memory_mb == 4000
    bounded = requests(tmp_path, limits=Limits(2500, 25))
    assert bounded.of("baselines", "short", 3).memory_mb == 2500
    assert bounded.of("baselines", "short", 3).minutes == 25


def test_more_than_a_node_has_is_refused_before_submission(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"rule field asks for 3500 MB, but a job may have 2000 MB .* resources\.field_mem_mb"
    ):
        requests(tmp_path, limits=Limits(2000)).of("field")
    with pytest.raises(ValueError, match=r"rule pod asks for 30 minutes, but a job may run for 15"):
        requests(tmp_path, limits=Limits(None, 15)).of("pod")


def test_what_is_resumed_asks_for_no_longer_than_is_allowed(tmp_path: Path) -> None:
    for rule in ("search", "retrain"):
        assert requests(tmp_path, limits=Limits(None, 15)).of(rule, "short").minutes == 15


def test_a_search_that_its_time_stopped_asks_for_the_same_again(tmp_path: Path) -> None:
    alone = layout.search(SiteConfig(), DEFAULT, "slurm")
    asked = requests(tmp_path)
    assert asked.of_search(alone, "short", 3)["mem_mb"] == 3 * 2500
    folder = tmp_path / "search" / "short" / "trials" / "abc"
    folder.mkdir(parents=True)
    deadline.leave(folder, 60.0, 7)
    assert asked.of_search(alone, "short", 3)["mem_mb"] == 2500


def test_ranks_on_nodes_ask_for_memory_of_each(tmp_path: Path) -> None:
    given = SiteConfig(searches=SearchSite(ranks=8, nodes=2, cores=4))
    wide = layout.search(given, DEFAULT, "slurm")
    asked = requests(tmp_path).of_search(wide, "short")
    rank = 2500 + 2 * 100 + 300  # two cores more than resources.search_threads; what starts the ranks
    assert asked == {"mem_mb": 4 * rank, "mem_mb_per_cpu": rank / 4, "runtime": 120}
    grown = requests(tmp_path, limits=Limits(16_000)).of_search(wide, "short", 20)
    assert (grown["mem_mb"], grown["mem_mb_per_cpu"]) == (16_000, 1000)
    with pytest.raises(ValueError, match="rule search asks for 12000 MB, but a job may have 8000 MB"):
        requests(tmp_path, limits=Limits(8000)).of_search(wide, "short")


@pytest.mark.parametrize("experiment", sorted((ROOT / "config" / "experiments").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_experiment_has_requests(experiment: Path, tmp_path: Path) -> None:
    given = config.merge(ROOT / "config" / "config.yaml", experiment)
    for rule in ("coarse", "pod", "search", "retrain", "transfer", "manual_networks", "score", "costs"):
        asked = requests(tmp_path, given).of(rule, given.protocols[0].name, cores=2)
        assert 500 <= asked.memory_mb <= 8000
        assert 10 <= asked.minutes <= 24 * 60


def test_networks_of_systems_and_refits_ask_for_their_own_work() -> None:
    thorough = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "sst_thorough.yaml")
    asked, own = requests(Path("nowhere"), thorough), thorough.of_system("correction")
    assert asked.windows("rolling/1990") == asked.windows("short") == 412
    # from 1981-10-29 to 2017-12-31
    assert asked.windows("rolling/2018") == 1888 - 15
    assert asked.estimate("search", "long/correction").work == asked.windows("long") * own.search.epochs * 100
    assert asked.estimate("retrain", "long/correction").work == asked.windows("long") * own.ensemble.epochs * 20
    assert asked.estimate("retrain", "rolling/2018/correction").work == 1873 * own.ensemble.epochs * 5


def test_a_refit_asks_for_minutes_and_a_forecast_for_no_more() -> None:
    thorough = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "sst_thorough.yaml")
    asked, given = requests(Path("nowhere"), thorough), thorough.resources
    assert asked.of("retrain", "long", cores=2).minutes == given.search_minutes
    assert asked.of("retrain", "rolling/1990", cores=2).minutes == given.minutes
    assert asked.of("ensemble", "rolling/1990").minutes == given.small_minutes


def test_more_cores_than_a_node_has_are_refused_before_submission(tmp_path: Path) -> None:
    narrow = requests(tmp_path, limits=Limits(None, None, 4))
    assert narrow.of("retrain", "short", cores=4).memory_mb == 2700
    with pytest.raises(ValueError, match=r"rule retrain asks for 8 cores .* may have 4; lower resources\.search_thr"):
        narrow.of("retrain", "short", cores=8)
    with pytest.raises(ValueError, match=r"rule coarse asks for 8 cores .* lower resources\.coarse_threads \(2\)"):
        narrow.of("coarse", cores=8)
    wide = layout.search(SiteConfig(searches=SearchSite(ranks=8, nodes=2, cores=2)), DEFAULT, "slurm")
    with pytest.raises(ValueError, match=r"rule search asks for 8 cores .* or searches in the site file"):
        narrow.of_search(wide, "short")


def test_jobs_with_gpus_stay_within_the_bounds_of_their_partition(tmp_path: Path) -> None:
    asked = requests(tmp_path, limits=Limits(64_000, 1440, 16, with_gpus=Limits(256_000, 60, 32)))
    assert asked.of("retrain", "short", cores=2).minutes == 60
    assert asked.of("manual_networks", "short", attempt=4, cores=32 - 16).minutes == 120
    alone = layout.search(SiteConfig(gpu_partition="gpu", searches=SearchSite(gpus=1, cores=32)), DEFAULT, "slurm")
    assert asked.of_search(alone, "short")["runtime"] == 60


def test_shares_of_an_ensemble_ask_for_their_part_and_alike_in_an_array(tmp_path: Path) -> None:
    large = DEFAULT.model_copy(update={"ensemble": DEFAULT.ensemble.model_copy(update={"members": 4000})})
    one, four = (Requests(large, tmp_path, UNBOUNDED, shares=shares) for shares in (1, 4))
    assert four.estimate("retrain_share", "long").work * 4 == one.estimate("retrain_share", "long").work
    of_runs = [four.of("retrain_share", run, cores=2) for run in ("short", "long")]
    assert of_runs[0] == of_runs[1]
    assert of_runs[0].minutes > 120
    # what the longest run of them took is what all ask for
    measured(tmp_path, "retrain_share_long.0", 36_000, 4000)
    assert four.of("retrain_share", "short", cores=2).memory_mb == 300 + 1.3 * 4000


def test_judged_searches_ask_for_their_work() -> None:
    judged = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "judged.yaml")
    asked = requests(Path("nowhere"), judged)
    # 412 windows; 60 trials of 30 epochs in 10 searches of 2 algorithms
    assert asked.estimate("judged_search").work == 412 * 60 * 30 * 10 * 2
    # 10 settings of 60 epochs, 10 networks of each for 3 blocks
    assert asked.estimate("judged_ablation").work == 412 * 10 * 60 * 10 * 3


def test_a_split_of_the_tabular_benchmark_goes_on_where_its_time_ended() -> None:
    tabular = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "uci.yaml")
    asked = requests(Path("nowhere"), tabular).estimate("tabular_search", "boston")
    assert (asked.memory_mb, asked.minutes) == (tabular.resources.small_mem_mb, tabular.resources.search_minutes)
    # more minutes than a job may run for are refused of rules that begin anew only
    short = Requests(tabular, Path("nowhere"), Limits(minutes=30))
    assert short.of("tabular_search", "boston").minutes == 30


def test_candidates_of_an_ensemble_are_counted_with_their_blocks():
    given = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "autodeuq_sst.yaml")
    asked = requests(Path("nowhere"), given)
    # twenty points, or ten initialisations, each without five blocks, twenty epochs
    assert asked.estimate("candidates", "short").work == 412 * 20 * 20 * 5
    assert asked.estimate("comparators", "short").work == 412 * 20 * 10 * 5
    assert asked.estimate("selection", "short").memory_mb == given.resources.network_mem_mb


def test_studies_of_an_index_ask_for_their_work() -> None:
    outlook = config.merge(ROOT / "config" / "config.yaml", ROOT / "config" / "experiments" / "outlook.yaml")
    asked = requests(Path("nowhere"), outlook)
    # 1,135 training weeks of the record have 1,120 windows; 32 trials and 6 x 5 networks of 15 epochs
    assert asked.estimate("outlook_search", "record").work == 1120 * 15 * 32
    assert asked.estimate("outlook_forecast", "record").work == 1120 * 15 * 6 * 5
    # Keras needs more than a small job
    assert asked.estimate("classify").memory_mb == 2500
