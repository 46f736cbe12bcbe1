"""What the drills on the test cluster wrote is what the page says of them."""

from __future__ import annotations

import pytest

from tests.cluster import report

ROW = {
    "drill": "scancel",
    "what": "`scancel` of everything",
    "trials_before": 6,
    "trials_lost": 0,
    "trials_repeated": 0,
    "jobs_before": 3,
    "jobs_lost": 0,
    "jobs_repeated": 0,
    "same_as": "the undisturbed run",
}


def test_page_has_the_table_of_the_last_run_of_all_drills() -> None:
    drills = report.read().get("drills")
    if drills is None:
        pytest.skip("results/bench/cluster.json has no drills yet: bash tests/cluster/run.sh --all")
    text = report.PAGE.read_text(encoding="utf-8")
    assert report.page(text, drills) == text


def test_row_says_what_was_lost_and_made_again() -> None:
    good, bad = report.table([ROW, {**ROW, "trials_lost": 2, "jobs_repeated": 1}]).splitlines()[2:]
    assert good == "| `scancel` of everything | 6 trials, 3 jobs | nothing | nothing | the undisturbed run |"
    assert "| 2 trials | 1 jobs |" in bad


def test_drill_without_a_disturbance_has_no_row() -> None:
    assert len(report.table([{"drill": "miniature", "what": "the whole"}]).splitlines()) == 2


def test_page_keeps_what_stands_around_the_table() -> None:
    text = f"before\n{report.BEGIN}old\n{report.END}after\n"
    assert report.page(text, [ROW]) == f"before\n{report.BEGIN}{report.table([ROW])}{report.END}after\n"


def test_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the lines <!-- drills"):
        report.page("nothing", [ROW])


def test_one_part_is_replaced_and_the_others_keep_their_origin() -> None:
    old = {"drills": [ROW], "overhead": {"ratio": 2.0}, "origins": {"drills": {"command": "a"}, "overhead": {}}}
    new = report.merged(old, {"overhead": {"ratio": 1.4}}, {"command": "b"})
    assert new["drills"] == [ROW]
    assert new["overhead"] == {"ratio": 1.4}
    assert new["origins"] == {"drills": {"command": "a"}, "overhead": {"command": "b"}}


def test_lines_of_drills_and_of_the_overhead_are_told_apart() -> None:
    assert report.parts([ROW, {"overhead": {"ratio": 1.4}}]) == {"drills": [ROW], "overhead": {"ratio": 1.4}}
