"""Criteria, top-k, greedy selection and bagging, by brute force and by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from podnas.ensemble import criteria, greedy, kernels
from podnas.ensemble.members import Events, Gaussians
from podnas.ensemble.mixture import Mixture, mean_absolute
from podnas.verify import spread

SHAPE = (30, 2, 3)  # windows, leads, modes


def gaussians(count: int = 6, seed: int = 0) -> Gaussians:
    """Truth about zero; members with biases, noise and spreads of their own."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=SHAPE)
    means = [truth + random.normal() + random.uniform(0.3, 1.5) * random.normal(size=SHAPE) for _ in range(count)]
    return Gaussians(
        [f"trial {number}" for number in range(count)],
        means,
        [random.uniform(0.5, 2, size=SHAPE) for _ in range(count)],
        truth,
    )


def events(count: int = 5, seed: int = 0) -> Events:
    random = np.random.default_rng(seed)
    outcome = (random.uniform(size=(60, 2)) < 0.3).astype(int)
    logits = [3 * outcome - 1.5 + random.normal(scale=random.uniform(1, 3), size=outcome.shape) for _ in range(count)]
    return Events([f"trial {number}" for number in range(count)], logits, outcome)


def all_criteria() -> dict[str, criteria.Criterion]:
    return {
        "likelihood": criteria.likelihood(gaussians()),
        "crps": criteria.Crps(gaussians()),
        "cross_entropy": criteria.cross_entropy(events(6)),
        "brier": criteria.Brier(events(6)),
    }


def brute(name: str, weights: np.ndarray) -> float:
    """The loss of the pooled forecast as others compute it: sklearn, and the closed forms of `verify/spread.py`."""
    if name in ("likelihood", "crps"):
        made = gaussians()
        mixture = Mixture(np.stack(made.means), np.stack(made.sigmas), weights)
        return float((Mixture.crps if name == "crps" else spread.nll)(mixture, made.truth).mean())
    made = events(6)
    pooled = np.tensordot(weights, expit(np.stack(made.logits)), axes=1).ravel()
    outcome = made.outcome.ravel()
    if name == "brier":
        return float(brier_score_loss(outcome, pooled))
    return float(log_loss(outcome, pooled))


@pytest.mark.parametrize("name", all_criteria())
def test_losses_are_those_of_the_pooled_forecast(name):
    found = all_criteria()[name]
    for seed in range(5):
        weights = np.random.default_rng(seed).dirichlet(np.ones(6))
        assert found.loss(weights) == pytest.approx(brute(name, weights), rel=1e-5)
    np.testing.assert_allclose(found.singles(), [brute(name, row) for row in np.eye(6)], rtol=1e-5)


@pytest.mark.parametrize("name", all_criteria())
@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(any))
def test_one_more_of_a_member_costs_what_the_ensemble_with_it_does(name, taken):
    found, counts = all_criteria()[name], np.array(taken)
    more = [counts + row for row in np.eye(6)]
    expected = [found.loss(one / one.sum()) for one in more]
    np.testing.assert_allclose(found.extended(counts, np.arange(6)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", all_criteria())
def test_greedy_adds_what_lowers_the_loss_most_and_stops_when_nothing_does(name):
    found = all_criteria()[name]
    chosen = greedy.greedy(found, 6)
    assert chosen.order[0] == int(np.argmin([brute(name, row) for row in np.eye(6)]))
    assert all(later < earlier for earlier, later in pairwise(chosen.losses))
    counts = np.zeros(6)
    for member in chosen.order:
        choices = [brute(name, (counts + row) / (counts.sum() + 1)) for row in np.eye(6)]
        assert choices[member] == pytest.approx(min(choices), rel=1e-5)
        counts[member] += 1
    assert chosen.loss == pytest.approx(brute(name, chosen.weights), rel=1e-5)
    if np.count_nonzero(counts) < 6:
        last = min(brute(name, (counts + row) / (counts.sum() + 1)) for row in np.eye(6))
        assert last > chosen.loss - 2e-6


def test_the_fast_kernel_of_the_crps_is_the_exact_one():
    z, sigma = np.linspace(-12, 12, 4001), np.linspace(0.01, 30, 4001)
    apart, variance = ((one[::40, None]).astype(np.float32) for one in (z * sigma, sigma**2))
    found = kernels.mean_absolutes(apart, variance / 4, np.zeros(1, np.float32), np.ones(1, np.float32))
    exact = mean_absolute(apart.astype(float), np.sqrt(variance.astype(float) / 4 + 1))[:, 0]
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    # the same of more points than are worked on together
    many = np.random.default_rng(0).normal(size=(3, 1201)).astype(np.float32)
    found = kernels.mean_absolutes(many, many**2 + 1, many[0], many[1] ** 2)
    exact = mean_absolute(many.astype(float) - many[0], np.sqrt(many.astype(float) ** 2 + 1 + many[1] ** 2))
    np.testing.assert_allclose(found, exact.mean(axis=1), rtol=1e-6)


def test_a_member_that_raises_the_loss_is_never_added():
    # the algorithm as it is printed would add just these
    truth = np.zeros((10, 1, 1))
    good, bad = np.zeros_like(truth), np.full_like(truth, 5.0)
    ones = np.ones_like(truth)
    made = Gaussians(["bad", "good", "worse"], [bad, good, 2 * bad], [ones, 0.1 * ones, ones], truth)
    for criterion in (criteria.likelihood(made), criteria.Crps(made)):
        chosen = greedy.greedy(criterion, 3)
        assert chosen.order == (1,)
        np.testing.assert_array_equal(chosen.weights, [0, 1, 0])


def test_taking_a_member_twice_gives_it_twice_the_weight():
    # outcomes 1, 1, 0: member 0 says sure of the first two, member 1 sure of the last; each is 1e-3 elsewhere.
    # pooled likelihoods are (w, w, 1 - w): 2 log w + log(1 - w) is largest at w = 2/3
    sure, never = logit(0.999), logit(0.001)
    made = Events(["a", "b"], [np.array([sure, sure, sure]), np.array([never, never, never])], np.array([1, 1, 0]))
    chosen = greedy.greedy(criteria.cross_entropy(made), 3)
    np.testing.assert_array_equal(chosen.counts[:2] * 3 / chosen.counts.sum(), [2, 1])


def test_the_number_of_distinct_members_is_kept():
    found = criteria.likelihood(gaussians(12))
    for distinct in (1, 2, 3):
        assert len(greedy.greedy(found, distinct).members) <= distinct
        assert len(greedy.bagged(found, distinct).members) <= distinct
    assert list(greedy.top_k(found, 3).order) == np.argsort(found.singles())[:3].tolist()


def test_sorted_start_takes_the_best_few_in_order():
    found = criteria.likelihood(gaussians(12))
    ranked = np.argsort(found.singles()).tolist()
    assert list(greedy.greedy(found, 8, start=3).order[:3]) == ranked[:3]
    free = greedy.greedy(found, 8, start=None)
    means = [found.loss(np.isin(np.arange(12), ranked[:count]) / count) for count in range(1, 9)]
    taken = 1 + int(np.argmin(means))
    assert list(free.order[:taken]) == ranked[:taken]
    assert free.losses[taken - 1] == pytest.approx(min(means), rel=1e-6)


def test_bags_depend_on_the_seed_alone():
    found = criteria.likelihood(gaussians(12))
    one, two, other = (greedy.bagged(found, 4, bags=5, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.counts, two.counts)
    assert one.order != other.order
    # whole bags are the plain selection
    np.testing.assert_allclose(greedy.bagged(found, 4, bags=3, share=1).weights, greedy.greedy(found, 4).weights)


def test_bags_count_alike_however_many_members_they_took(monkeypatch):
    bags = iter([[(0, 0.9)], [(1, 0.9), (2, 0.8), (1, 0.7)]] * 2)
    monkeypatch.setattr(greedy, "_climb", lambda *_: next(bags))
    found = criteria.likelihood(gaussians())
    np.testing.assert_allclose(greedy.bagged(found, 3, bags=2).weights, [1 / 2, 1 / 3, 1 / 6, 0, 0, 0])
    # of more than are wanted the heaviest stay, with the weights that they had
    cut = greedy.bagged(found, 2, bags=2)
    np.testing.assert_allclose(cut.weights, [3 / 5, 2 / 5, 0, 0, 0, 0])
    assert cut.order == (0, 1, 1)
    assert cut.loss == pytest.approx(brute("likelihood", cut.weights), rel=1e-5)


def harmed(member: int, **changes: np.ndarray) -> None:
    made = gaussians()
    parts = {name: list(getattr(made, name)) for name in ("means", "sigmas")}
    for name, value in changes.items():
        parts[name][member] = value
    Gaussians(made.names, parts["means"], parts["sigmas"], made.truth)


def test_members_that_are_no_forecasts_are_refused_by_name():
    nan = np.zeros(SHAPE)
    nan[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"member trial 2 has 1 values that are not finite"):
        harmed(2, means=nan)
    with pytest.raises(ValueError, match=r"member trial 4 has sigma 0; a Gaussian forecast needs sigma > 0"):
        harmed(4, sigmas=np.zeros(SHAPE))
    with pytest.raises(ValueError, match=r"member trial 1 forecasts shape \(30, 1, 3\), but the validation set has"):
        harmed(1, means=np.zeros((30, 1, 3)), sigmas=np.ones((30, 1, 3)))


def test_classifiers_that_say_nothing_are_refused_by_name():
    came = np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match="member b has 1 values that are not finite"):
        Events(["a", "b"], [np.zeros(4), np.array([0, np.nan, 1, 0])], came)
    with pytest.raises(ValueError, match=r"member b forecasts shape \(3,\), but the validation set has"):
        Events(["a", "b"], [np.zeros(4), np.zeros(3)], came)


def test_a_catalogue_with_one_entry_is_refused():
    with pytest.raises(ValueError, match=r"the catalogue has 1 member \(trial 0\).* have more made, or use the single"):
        criteria.likelihood(gaussians(1))
    with pytest.raises(ValueError, match="the catalogue has 1 member"):
        criteria.Crps(gaussians(1))
    with pytest.raises(ValueError, match="the catalogue has 1 member"):
        criteria.cross_entropy(events(1))


@pytest.mark.parametrize("came", [0, 1])
def test_a_validation_set_of_one_class_is_refused(came):
    with pytest.raises(ValueError, match=f"all 4 outcomes of warm weeks in the validation set are {came}"):
        Events(["a", "b"], [np.zeros(4), np.ones(4)], np.full(4, came), "warm weeks")


def test_more_members_than_the_catalogue_has_are_refused():
    with pytest.raises(ValueError, match="7 members are wanted, but the catalogue has 6"):
        greedy.top_k(criteria.likelihood(gaussians()), 7)
