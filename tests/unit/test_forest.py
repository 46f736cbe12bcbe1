"""The compiled forest: what it predicts, how sure it is, what it learns one at a time, and how much it takes."""

from __future__ import annotations

import numpy as np
import pytest

from podnas.search import forest


def observations(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four numbers and two categories of three; the loss depends on two numbers and on one category."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([random.random((count, 4)), random.integers(0, 3, (count, 2))], axis=1).astype(np.float32)
    losses = (rows[:, 0] - 0.3) ** 2 + rows[:, 1] + 0.5 * (rows[:, 4] == 2)
    return rows, losses.astype(np.float32), np.array([0, 0, 0, 0, 3, 3])


def test_it_predicts_what_it_has_not_seen():
    rows, losses, categories = observations(500)
    new, truth, _ = observations(300, seed=1)
    mean, _ = forest.grow(rows, losses, categories, 50, 0).predict(new)
    assert np.corrcoef(mean, truth)[0, 1] > 0.95


def test_it_knows_what_it_was_told_and_is_less_sure_elsewhere():
    rows, losses, categories = observations(60)
    grown = forest.grow(rows, losses, categories, 100, 0)
    mean, deviation = grown.predict(rows)
    # trees end in single observations: nothing is uncertain about these
    assert mean == pytest.approx(losses, abs=1e-5)
    assert deviation.max() < 1e-3
    _, elsewhere = grown.predict(observations(200, seed=2)[0])
    assert np.median(elsewhere) > 0.05


def test_same_seed_same_forest_other_seed_another():
    rows, losses, categories = observations(100)
    new = observations(50, seed=1)[0]
    first, again, other = (forest.grow(rows, losses, categories, 20, seed).predict(new)[0] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_a_lie_moves_the_mean_of_its_leaf_and_not_its_spread():
    rows, losses, categories = observations(60)
    grown = forest.grow(rows, losses, categories, 100, 0)
    best = int(np.argmin(losses))
    before, spread = grown.predict(rows[[best]])
    with grown.lied(rows[[best]], losses[[best]] + 2):
        mean, deviation = grown.predict(rows[[best]])
    assert mean == pytest.approx(before + 1, abs=1e-4)
    # the bound rises there by what is assumed, at any kappa
    assert deviation == pytest.approx(spread, abs=1e-3)


def test_what_it_learns_later_it_knows_like_what_it_was_grown_on():
    rows, losses, categories = observations(400)
    grown = forest.grow(rows[:100], losses[:100], categories, 100, 0, later=300)
    new, truth, _ = observations(300, seed=1)
    early = np.corrcoef(grown.predict(new)[0], truth)[0, 1]
    grown.learn(rows, 100, losses[100:])
    mean, deviation = grown.predict(rows)
    assert mean == pytest.approx(losses, abs=1e-5)
    assert deviation.max() < 1e-3
    assert np.corrcoef(grown.predict(new)[0], truth)[0, 1] > max(0.95, early)


def test_of_a_sample_too_it_learns_later_what_differs():
    rows, losses, categories = observations(1200)
    grown = forest.grow(rows[:1100], losses[:1100], categories, 50, 0, largest=300, later=100)
    grown.learn(rows, 1100, losses[1100:])
    mean, deviation = grown.predict(rows[1100:])
    assert mean == pytest.approx(losses[1100:], abs=1e-4)
    assert deviation.max() < 1e-3


def test_a_success_among_failures_is_believed():
    rows, _, categories = observations(101)
    losses = np.full(101, 3, np.float32)
    losses[100] = -2
    grown = forest.grow(rows[:100], losses[:100], categories, 50, 0, later=1)
    grown.learn(rows, 100, losses[100:])
    assert grown.predict(rows[100:])[0] == pytest.approx([-2], abs=1e-4)


def test_one_by_one_or_at_once_it_learns_the_same():
    rows, losses, categories = observations(60)
    at_once, one_by_one = (forest.grow(rows[:30], losses[:30], categories, 10, 0, later=30) for _ in range(2))
    at_once.learn(rows, 30, losses[30:])
    for place in range(30, 60):
        one_by_one.learn(rows[: place + 1], place, losses[place : place + 1])
    new = observations(50, seed=1)[0]
    assert (at_once.predict(new)[0] == one_by_one.predict(new)[0]).all()


def test_without_room_a_leaf_takes_an_observation_in():
    rows, losses, categories = observations(40)
    grown = forest.grow(rows[:20], losses[:20], categories, 10, 0, later=1)
    grown.learn(rows, 20, losses[20:])
    inside = grown.count[grown.nodes[:, :, forest.LEFT] == np.arange(grown.count.shape[1])]
    assert inside.sum() == 10 * 40
    assert grown.made.max() <= grown.count.shape[1]


def test_what_differs_in_nothing_stays_in_its_leaf():
    rows, losses, categories = observations(1)
    grown = forest.grow(rows, losses, categories, 5, 0, later=2)
    grown.learn(np.repeat(rows, 2, axis=0), 1, losses + 2)
    mean, deviation = grown.predict(rows)
    assert mean == pytest.approx(losses + 1)
    assert deviation == pytest.approx([1.0])


def test_lies_are_forgotten():
    rows, losses, categories = observations(30)
    grown = forest.grow(rows, losses, categories, 10, 0)
    before = grown.predict(rows)
    with grown.lied(rows, losses + 5):
        assert (grown.predict(rows)[0] != before[0]).all()
    with grown.lied(rows[:0], losses[:0]):
        pass
    assert (np.array(grown.predict(rows)) == np.array(before)).all()


def test_left_out_dimensions_are_values_of_their_own():
    random = np.random.default_rng(0)
    rows = random.random((200, 2)).astype(np.float32)
    rows[:, 1] = np.where(random.random(200) < 0.5, -1, random.integers(0, 3, 200))
    losses = (rows[:, 1] < 0).astype(np.float32)
    mean, _ = forest.grow(rows, losses, np.array([0, 3]), 50, 0).predict(rows)
    assert np.abs(mean - losses).max() < 1e-5


def test_memory_does_not_grow_beyond_the_largest_sample():
    rows, losses, categories = observations(3 * forest.LARGEST)
    sizes = [
        forest.grow(rows[:count], losses[:count], categories, 3, 0, later=10).nodes.nbytes
        for count in (forest.LARGEST, len(rows))
    ]
    assert sizes[0] == sizes[1]


def test_equal_losses_and_equal_rows_make_leaves():
    rows = np.zeros((50, 3), np.float32)
    grown = forest.grow(rows, np.arange(50, dtype=np.float32), np.zeros(3, np.int64), 5, 0)
    mean, deviation = grown.predict(rows[:1])
    assert mean == pytest.approx([24.5])
    assert deviation == pytest.approx([np.arange(50).std()], rel=1e-5)
    assert grown.predict(rows[:0])[0].shape == (0,)


def test_more_categories_than_bits_are_told_apart():
    random = np.random.default_rng(0)
    rows = random.integers(0, 64, (2000, 1)).astype(np.float32)
    losses = random.permutation(64).astype(np.float32)[rows[:, 0].astype(int)]
    mean, _ = forest.grow(rows, losses, np.array([64]), 50, 0).predict(rows)
    assert np.corrcoef(mean, losses)[0, 1] > 0.95
