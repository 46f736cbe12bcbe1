"""The search that a configuration asks for, and what is none."""

from __future__ import annotations

import pytest
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Constant, Float, OrdinalHyperparameter

from podnas.config import SearchConfig
from podnas.search import build
from podnas.search.bayes import AgedEvolutionBayesianOptimisation


def space(*dimensions) -> ConfigurationSpace:
    made = ConfigurationSpace()
    made.add(list(dimensions))
    return made


def made(of: ConfigurationSpace, evolved=None, **settings):
    return build.build(of, SearchConfig.model_validate({"trials": 20, **settings}), evolved=evolved)


ORDERED = space(Float("x", (0.0, 1.0)), OrdinalHyperparameter("depth", [1, 2]), CategoricalHyperparameter("k", ["a"]))
FIXED = space(Constant("a", 1), CategoricalHyperparameter("k", ["only"]))


@pytest.mark.parametrize("more", [{}, {"two_step": {"fraction": 0.5}}, {"second_objective": "cost"}])
def test_agebo_without_a_choice_is_refused(more):
    with pytest.raises(ValueError, match="agebo evolves choices without an order, and the space has none among"):
        made(ORDERED, algorithm="agebo", **more)


def test_agebo_evolves_what_it_is_told_to():
    search = made(ORDERED, evolved=["depth", "elsewhere"], algorithm="agebo")
    assert isinstance(search, AgedEvolutionBayesianOptimisation)
    assert search.evolved == ["depth"]
    with pytest.raises(ValueError, match="none of elsewhere, which agebo is to evolve, is one of"):
        made(ORDERED, evolved=["elsewhere"], algorithm="agebo")


@pytest.mark.parametrize("algorithm", ["evolution", "bo", "adbo", "agebo"])
@pytest.mark.parametrize(
    ("nothing", "told"), [(FIXED, "only a, k, with one value each"), (ConfigurationSpace(), "no variable")]
)
def test_a_space_in_which_nothing_can_change_is_refused(algorithm, nothing, told):
    with pytest.raises(ValueError, match=f"the space has {told}, so {algorithm} has nothing to change"):
        made(nothing, algorithm=algorithm)


def test_halving_is_refused_with_its_sampler():
    with pytest.raises(ValueError, match="so evolution has nothing to change"):
        made(FIXED, algorithm="asha", halving={"sampler": "evolution"})


def test_random_search_repeats_the_one_point_that_there_is():
    assert {trial.point["a"] for trial in made(FIXED, algorithm="random").ask(20)} == {1}
