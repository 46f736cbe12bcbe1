"""What is about to be submitted is looked at as a whole: groups within the bounds of a job, arrays that fit."""

from __future__ import annotations

import pytest

from podnas.cluster import submission
from podnas.cluster.limits import Limits
from podnas.cluster.site import SiteConfig
from podnas.cluster.submission import Planned

GROUP = Planned("data_archive_field_pod", 3500, 90, jobs=3)


def test_a_group_within_the_bounds_passes() -> None:
    submission.check([GROUP, Planned("search", 9000, 600)], SiteConfig(), Limits(3500, 90))
    submission.check([GROUP], SiteConfig(), Limits())


def test_run_times_of_a_group_add_up_and_must_fit() -> None:
    words = r"group data_archive_field_pod is one job for 3 .* asks for 90 minutes in all, but a job may run for 60"
    with pytest.raises(ValueError, match=words):
        submission.check([GROUP], SiteConfig(), Limits(None, 60))


def test_memory_of_jobs_side_by_side_must_fit() -> None:
    with pytest.raises(ValueError, match=r"asks for 3500 MB, but a job may have 2000 MB; lower `together`"):
        submission.check([GROUP], SiteConfig(), Limits(2000))


def test_an_array_that_the_queue_does_not_hold_is_refused() -> None:
    planned = [Planned("coarse", 3500, 30)] * 12 + [GROUP, Planned("search", 2500, 120)]
    submission.check(planned, SiteConfig(jobs=14), Limits(), ["coarse"])
    submission.check(planned, SiteConfig(jobs=13), Limits())
    with pytest.raises(ValueError, match=r"jobs is 13, but 14 are .* 12 of them, of rule coarse, .* set jobs to 14"):
        submission.check(planned, SiteConfig(jobs=13), Limits(), ["coarse"])


def test_a_job_alone_is_no_array() -> None:
    planned = [Planned("coarse", 3500, 30), *[Planned("retrain", 2500, 30)] * 5]
    submission.check(planned, SiteConfig(jobs=2), Limits(), ["coarse"])
