"""Selections judged by held-out blocks in turn, and the pool of candidates that they are made of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from podnas.config import UncertaintyConfig
from podnas.ensemble import calibrate, compared, learned, selection
from podnas.ensemble.members import Gaussians
from podnas.ensemble.pool import Candidate, Pool
from podnas.ensemble.selection import Choice, Ensemble, Prepared, Settings

SETTINGS = Settings.of(UncertaintyConfig())
BLOCK = np.repeat(np.arange(3), 40)


def gaussians(count: int = 4, seed: int = 0) -> Gaussians:
    """Members that are the better the lower their number, with sigmas that are wrong by a factor of their own."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(len(BLOCK), 3, 2))
    errors = [0.3 + 0.2 * number for number in range(count)]
    means = [truth + error * random.normal(size=truth.shape) for error in errors]
    sigmas = [np.full(truth.shape, error * (1 + number)) for number, error in enumerate(errors)]
    return Gaussians([f"m{number}" for number in range(count)], means, sigmas, truth)


@pytest.mark.parametrize(("sharing", "axes"), [("all", (1, 2, 3)), ("modes", (1, 3)), ("none", (1,))])
def test_members_that_are_scaled_have_errors_as_wide_as_their_sigma(sharing, axes):
    made = gaussians()
    scales = calibrate.member_scales(made, sharing)
    assert scales.shape == (4, 3, 2)
    squares = made.scaled(scales).standardised()[0].reshape(4, *made.truth.shape)
    np.testing.assert_allclose(squares.mean(axis=axes), 1, rtol=1e-5)


def test_a_block_is_scored_by_what_was_fitted_without_it():
    made = gaussians()
    seen = []

    def fit(ready: Prepared) -> Ensemble:
        seen.append(ready.truth)
        return ready.plain()

    selection.validated(made, BLOCK, SETTINGS, [fit])
    for block, truth in enumerate(seen):
        np.testing.assert_array_equal(truth, made.truth[block != BLOCK])


def test_the_score_is_that_of_the_mixture_over_all_blocks():
    made = gaussians(2)
    (found,) = selection.validated(made, BLOCK, SETTINGS, [Prepared.plain])
    mixture = Prepared(made, SETTINGS).plain().mixture(made)
    assert found["crps"] == pytest.approx(mixture.crps(made.truth).mean())


def test_the_best_candidate_is_judged_as_the_best_of_the_other_blocks():
    # each is the best on two blocks and bad on one, so whoever is chosen by two blocks does badly on the third
    random = np.random.default_rng(0)
    truth = random.normal(size=(len(BLOCK), 3, 2))
    bad = [np.where(number == BLOCK, 3.0, 0.1)[:, None, None] for number in range(3)]
    held = [truth + size * random.normal(size=truth.shape) for size in bad]
    sigma = np.ones(truth.shape)
    ahead = np.ones((3, 5, 3, 2))
    pool = Pool(
        {f"candidate_{n}": Candidate(mean, sigma, ahead, ahead) for n, mean in enumerate(held)}, BLOCK, np.arange(120)
    )
    record = compared.Record(truth, UncertaintyConfig(member_calibration="one", calibration="one"))
    name = record.alone(pool)
    record.made("same", pool.take([name]), Prepared.equal, "these blocks")
    best, single, same = (record.forecasts[one] for one in (compared.BEST, compared.SINGLE, "same"))
    assert best["weights"] == single["weights"] == same["weights"] == {name: 1.0}
    assert best["factors"] == same["factors"]
    assert (best["networks"], single["networks"]) == (None, 1)
    assert best["held_out"] == single["held_out"]
    assert best["held_out"]["crps"] > 2 * same["held_out"]["crps"]
    assert [one["held_out"]["chosen_on"] for one in (best, same)] == ["other blocks", "these blocks"]
    assert np.mean(best["held_out"]["crps_by_block"]) == pytest.approx(best["held_out"]["crps"])


@pytest.mark.parametrize("method", ["top_k", "greedy", "sorted_greedy", "bagged", "learned_likelihood", "learned_crps"])
def test_every_selection_gives_a_calibrated_ensemble(method):
    made = gaussians()
    ensemble = Prepared(made, SETTINGS).fit(Choice(method, 2))
    assert sum(ensemble.weights.values()) == pytest.approx(1)
    assert len(ensemble.weights) <= 2
    mixture = ensemble.mixture(made)
    squares = (made.truth - mixture.location) ** 2 / mixture.parts().total
    np.testing.assert_allclose(squares.mean(axis=0), 1, rtol=1e-6)
    again = Ensemble.from_record(ensemble.record())
    np.testing.assert_array_equal(again.mixture(made).sigma, mixture.sigma)


def test_an_unknown_selection_and_a_single_block_are_refused():
    with pytest.raises(ValueError, match="there is no selection 'best'"):
        Prepared(gaussians(), SETTINGS).fit(Choice("best", 2))
    with pytest.raises(ValueError, match=r"of 1 block; .* set windows.validation_blocks"):
        selection.validated(gaussians(), 0 * BLOCK, SETTINGS, [Prepared.plain])


@pytest.mark.parametrize("learn", [learned.likelihood, learned.crps])
def test_a_member_that_is_absurdly_sure_overflows_nothing(learn):
    made = gaussians(3)
    sure = Gaussians(made.names, made.means, [1e-9 * made.sigmas[0], *made.sigmas[1:]], made.truth)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learn(sure)
    assert np.isfinite(found.loss)
    assert np.isfinite(found.parameters).all()


def test_networks_of_a_candidate_share_its_weight():
    ones = np.ones((3, 5, 2, 2))
    candidates = {
        name: Candidate(ones[0], ones[0], count * ones[:count], ones[:count]) for name, count in (("a", 1), ("b", 3))
    }
    made = Pool(candidates, np.zeros(5), np.arange(5)).mixture(
        {"a": 0.4, "b": 0.6}, {"a": np.ones((2, 2)), "b": 2 * np.ones((2, 2))}
    )
    np.testing.assert_allclose(made.weights, [0.4, 0.2, 0.2, 0.2])
    assert made.sigma[:, 0, 0, 0].tolist() == [1, 2, 2, 2]
    assert made.location[0, 0, 0] == pytest.approx(0.4 * 1 + 0.6 * 3)
