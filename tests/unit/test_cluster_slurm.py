"""Wrong settings of a site are refused before anything is submitted, with the remedy; the SLURM here is fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from podnas.cluster import profile, site, slurm
from podnas.cluster.limits import Limits
from podnas.cluster.site import SearchSite, SiteConfig
from tests import fake_slurm

FITTING = {"account": "climate", "partition": "main"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """What starts a fake SLURM that says what it is told to."""

    def start(**said) -> None:
        monkeypatch.setenv("PATH", fake_slurm.answering(tmp_path, **said))

    yield start
    slurm.forget()


def test_bounds_are_those_of_the_partition(cluster) -> None:
    cluster()
    assert slurm.check(SiteConfig(**FITTING)) == Limits(128_000, 1440, 32)
    assert slurm.check(SiteConfig(account="ocean")) == Limits(128_000, 1440, 32)  # the default partition
    narrow = SiteConfig(**FITTING, most_memory_mb=8000, most_minutes=60, most_cores=4)
    assert slurm.check(narrow) == Limits(8000, 60, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"partition": "nosuch"}, r"partition is nosuch, but there is no partition nosuch here; set it to one of: gpu"),
        ({"partition": "main,nosuch"}, r"no partition nosuch here"),
        ({"partition": "old"}, r"partition old is not up"),
        ({"account": "chemistry"}, r"account is chemistry, but user \w+ has: climate, ocean .* set account to one"),
        (
            {"most_memory_mb": 200_000},
            r"most_memory_mb is 200000, but partition main has 128000 MB .* set it to 128000",
        ),
        ({"most_minutes": 3000}, r"most_minutes is 3000, but partition main has 1440 minutes for a job"),
        ({"most_cores": 64}, r"most_cores is 64, but partition main has 32 cores on its largest node"),
        ({"searches": SearchSite(gpus=1)}, r"searches\.gpus is 1, but partition main has no GPUs .* set gpu_partition"),
        ({"searches": SearchSite(ranks=4, nodes=9)}, r"searches\.nodes is 9, but partition main has 6"),
        ({"searches": SearchSite(ranks=4, cores=33)}, r"searches\.cores is 33, but nodes of partition main have 32"),
        ({"searches": SearchSite(ranks=500, cores=2)}, r"searches\.ranks 500 of 2 cores are 1000 cores, .* has 128"),
        (
            {"gpu_partition": "gpu", "searches": SearchSite(ranks=5, nodes=1, gpus=1)},
            r"searches\.ranks 5 on 1 nodes need 5 GPUs on a node, but those of partition gpu have 4 .* raise",
        ),
        (
            {"gpu_partition": "none", "searches": SearchSite(gpus=1)},
            r"gpu_partition is none, but there is no partition",
        ),
    ],
)
def test_what_the_cluster_does_not_have_is_refused(cluster, given, words) -> None:
    cluster()
    with pytest.raises(ValueError, match=words) as refused:
        slurm.check(SiteConfig(**{**FITTING, **given}))
    assert str(refused.value).startswith(str(site.path()))


def test_gpus_are_looked_for_where_jobs_with_gpus_run(cluster) -> None:
    cluster()
    wide = SearchSite(ranks=8, nodes=2, cores=4, gpus=1)
    given = SiteConfig(**FITTING, gpu_partition="gpu", searches=wide)
    assert slurm.check(given) == Limits(128_000, 1440, 32, with_gpus=Limits(256_000, 720, 32))
    narrow = given.model_copy(update={"most_minutes": 1000})
    assert slurm.check(narrow) == Limits(128_000, 1000, 32, with_gpus=Limits(256_000, 720, 32))


@pytest.mark.parametrize(
    ("generic", "gpus"),
    [
        ("(null)", 0),
        ("gpu", 1),
        ("gpu:4", 4),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a100:2(S:0,1),gpu:v100:1(S:1),craynetwork:4", 3),
    ],
)
def test_gpus_of_a_node_are_counted(cluster, generic, gpus) -> None:
    cluster(nodes=fake_slurm.NODES.replace("gpu:a100:4", generic))
    given = SiteConfig(**FITTING, gpu_partition="gpu", searches=SearchSite(ranks=2 * gpus + 1, gpus=1))
    words = f"searches.ranks is {2 * gpus + 1}, each with a GPU, but partition gpu has {2 * gpus}; lower"
    with pytest.raises(ValueError, match=words if gpus else "has no GPUs"):
        slurm.check(given)


def test_no_default_partition_and_none_named(cluster) -> None:
    cluster(nodes=fake_slurm.NODES.replace("*", ""))
    with pytest.raises(ValueError, match="partition is null, but this cluster has no default"):
        slurm.check(SiteConfig(account="climate"))


def test_a_user_without_an_account(cluster) -> None:
    cluster(accounts="")
    with pytest.raises(ValueError, match=r"takes jobs of known accounts only, and user .* has none"):
        slurm.check(SiteConfig(partition="main"))


def test_an_account_that_a_site_hides_is_not_refused_where_none_is_needed(cluster) -> None:
    cluster(enforce="none", accounts="")
    assert slurm.check(SiteConfig(**FITTING)).memory_mb == 128_000
    cluster(accounts="")
    with pytest.raises(ValueError, match=r"account is climate, but user \w+ has: none"):
        slurm.check(SiteConfig(**FITTING))


def test_without_accounting_any_account_will_do(cluster) -> None:
    cluster(accounting="accounting_storage/none", enforce="none", accounts="")
    assert slurm.check(SiteConfig(account="any", partition="main")).memory_mb == 128_000


@pytest.mark.parametrize(
    ("status", "accounting", "age", "command"),
    [
        ("auto", "accounting_storage/none", 300, "squeue"),
        ("auto", "accounting_storage/slurmdbd", 300, "squeue"),
        ("auto", "accounting_storage/slurmdbd", 60, "sacct"),
        ("sacct", "accounting_storage/slurmdbd", 300, "sacct"),
    ],
)
def test_jobs_are_asked_for_by_what_answers(cluster, status, accounting, age, command) -> None:
    cluster(accounting=accounting, age=age)
    assert slurm.status_command(SiteConfig(status=status)) == command


@pytest.mark.parametrize(
    ("status", "accounting", "age", "words"),
    [
        ("sacct", "accounting_storage/none", 300, "Snakemake would wait for ever; set status: auto"),
        ("squeue", "accounting_storage/slurmdbd", 60, "60 s after its end .* needs 240 s; set status: auto"),
        ("auto", "accounting_storage/none", 60, "ask for a larger MinJobAge, or use --profile profiles/generic"),
    ],
)
def test_a_question_that_nobody_answers_is_refused(cluster, status, accounting, age, words) -> None:
    cluster(accounting=accounting, age=age)
    given = SiteConfig(**FITTING, status=status)
    with pytest.raises(ValueError, match=words):
        slurm.status_command(given)
    with pytest.raises(ValueError, match=words):
        slurm.check(given)


def test_where_no_slurm_is_installed_nothing_is_known(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", fake_slurm.without_slurm(tmp_path))
    assert slurm.check(SiteConfig(partition="nosuch", most_minutes=9)) == Limits(None, 9, None)
    assert slurm.status_command(SiteConfig()) is None
    assert not slurm.accounting()
    with pytest.raises(slurm.Silence, match="sbatch, which is not on the path here: start on a login node"):
        slurm.check_answers()


def test_a_silent_controller_is_told_and_stops_submission_only(cluster, tmp_path, caplog) -> None:
    cluster()
    fake_slurm.program(tmp_path, "scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert slurm.check(SiteConfig(most_minutes=9)) == Limits(None, 9, None)
    assert "nothing is known of this cluster: scontrol show config fails: Unable to contact" in caplog.text
    assert profile.status_command() is None
    with pytest.raises(slurm.Silence, match="is SLURM running"):
        slurm.check_answers()


def test_a_refused_site_file_gives_a_neutral_profile(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "site.yaml").write_text("nosuch: 1\n")
    monkeypatch.setenv(site.ELSEWHERE, str(tmp_path / "site.yaml"))
    assert profile.here() == SiteConfig()


@pytest.mark.parametrize(
    ("time", "minutes"), [("4:00:00", 240), ("30:00", 30), ("2-12:30:00", 3630), ("infinite", None), ("n/a", None)]
)
def test_times_as_sinfo_writes_them(time, minutes) -> None:
    assert slurm.minutes(time) == minutes
