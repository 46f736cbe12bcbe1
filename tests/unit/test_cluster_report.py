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
    "origin": {"command": "a", "git": {"commit": "0123456789", "dirty": False}},
}


def test_page_has_the_table_of_the_record() -> None:
    drills = report.read().get("drills")
    if drills is None:
        pytest.skip("results/bench/cluster.json has no drills yet: bash tests/cluster/run.sh --all")
    text = report.PAGE.read_text(encoding="utf-8")
    assert report.page(text, drills) == text


def test_row_says_what_was_lost_and_made_again() -> None:
    good, bad = report.table([ROW, {**ROW, "trials_lost": 2, "jobs_repeated": 1}]).splitlines()[2:]
    assert good == "| `scancel` of everything | 6 trials, 3 jobs | nothing | nothing | the undisturbed run | 0123456 |"
    assert "| 2 trials | 1 jobs |" in bad


def test_drill_without_a_disturbance_says_so() -> None:
    plain = {"drill": "miniature", "what": "the whole", "origin": {"git": {"commit": "ab", "dirty": True}}}
    assert report.table([plain]).splitlines()[2] == "| the whole | not disturbed | — | — | not compared | ab, edited |"


def test_page_keeps_what_stands_around_the_table() -> None:
    text = f"before\n{report.BEGIN}old\n{report.END}after\n"
    assert report.page(text, [ROW]) == f"before\n{report.BEGIN}{report.table([ROW])}{report.END}after\n"


def test_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the lines <!-- drills"):
        report.page("nothing", [ROW])


def test_a_drill_replaces_its_own_row_and_the_others_stay() -> None:
    other = {**ROW, "drill": "generic", "what": "another"}
    new = report.merged({"drills": [ROW, other], "overhead": {"ratio": 2.0}}, {"drills": [{**ROW, "seconds": 5}]})
    assert new["drills"] == [{**ROW, "seconds": 5}, other]
    assert new["overhead"] == {"ratio": 2.0}


def test_each_part_says_what_it_comes_from() -> None:
    row = {key: value for key, value in ROW.items() if key != "origin"}
    found = report.parts([row, {"overhead": {"ratio": 1.4}}], ROW["origin"])
    assert found == {"drills": [ROW], "overhead": {"ratio": 1.4, "origin": ROW["origin"]}}
