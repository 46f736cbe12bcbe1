"""Numbers of trials among ranks: never two the same, and an end."""

from __future__ import annotations

from podnas.search.numbers import Numbers


def test_one_rank_counts_up_to_the_end():
    numbers = Numbers(5)
    assert numbers.take(3) == [0, 1, 2]
    assert numbers.take(9) == [3, 4]
    assert numbers.take(1) == []


def test_ranks_take_different_numbers_and_stop_together():
    ranks = [Numbers(20, rank, 3) for rank in range(3)]
    taken: list[int] = []
    while new := [number for rank in ranks for number in told(rank.take(1), ranks)]:
        taken += new
    assert len(taken) == len(set(taken)) == 20


def told(new: list[int], ranks: list[Numbers]) -> list[int]:
    for rank in ranks:
        for number in new:
            rank.note(number)
    return new


def test_ranks_that_hear_nothing_yet_begin_few_too_many():
    ranks = [Numbers(24, rank, 5) for rank in range(5)]
    assert 24 <= sum(len(rank.take(8)) for rank in ranks) <= 24 + 4


def test_a_run_with_other_ranks_goes_on_beside_what_is_known():
    first = [Numbers(30, rank, 4) for rank in range(4)]
    known = [number for rank in first for number in rank.take(3)]
    second = [Numbers(30, rank, 3) for rank in range(3)]
    told(known, second)
    new = [number for rank in second for number in rank.take(2)]
    assert not set(new) & set(known)
    assert len(set(new)) == 6
    assert sum(rank.owns(7) for rank in second) == 1


def test_skipped_numbers_are_left_out_and_not_counted():
    numbers = Numbers(4)
    numbers.take(2)
    copy = numbers.copy()
    numbers.skip(3)
    assert numbers.left() == 2
    assert numbers.take(9) == [2, 4]
    # a copy counts for itself, and leaves out the same
    assert copy.take(9) == [0, 1, 2, 4]
    restored = Numbers(6)
    other = restored.copy()
    restored.restore(numbers.state())
    assert restored.take(9) == [5, 6]
    assert other.skipped == {3}
