"""The stacked engine: members equal those of the exact engine, alone or among others, without compiling for them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from podnas.networks import build, exact, kernels, padded, parameters, slots, space, stacked
from podnas.networks.population import Job, State
from podnas.windows import Array
from tests.populations import ALL_IDENTITY, architecture, arrays, job

DATA = arrays(windows=20)  # batches of 16: one step an epoch, 4 windows dropped
EXACT = 1e-5  # of each tensor's largest magnitude
ROUNDING = 1e-3  # of a step of Adam, and of tensors after several
MIXED = (
    {},
    {"weight_decay": 0.3, "learning_rate": 0.02},
    {"clip_norm": 0.02},
    {"lead_weights": (4.0, 1.0, 1.0, 0.0), "weight_decay": 0.1, "clip_norm": 0.05, "learning_rate": 0.0005},
)
RANDOM = (*MIXED, {"dropout": 0.4}, {"input_noise": 0.5}, {"dropout": 0.1, "input_noise": 0.1, "clip_norm": 0.1})


@pytest.fixture(autouse=True)
def eight_together(monkeypatch):
    monkeypatch.setattr(stacked, "TOGETHER_ON_CPU", 8)


def population_of(count: int, first: int = 0, variants=MIXED, **changes) -> list[Job]:
    """Members with architectures, seeds and settings of their own."""
    return [
        job(architecture(n), DATA, seed=n, **{"epochs": 1, **changes}, **variants[n % len(variants)])
        for n in range(first, first + count)
    ]


def tensors(one: Job, vector: Array) -> list[Array]:
    return [array for _, arrays in parameters.split(one.layers(), vector) for array in arrays]


def assert_alike(one: Job, ours: State, theirs: State, tolerance: float) -> None:
    assert (ours.error, ours.epochs, ours.steps) == (theirs.error, theirs.epochs, theirs.steps)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=tolerance)
    assert ours.held_r2 == pytest.approx(theirs.held_r2, abs=tolerance)
    # after one step the first moment is a tenth of the gradient, the second goes with its square; a step is the rate
    # times a quotient of moments, both near zero where the gradient cancels, which magnifies their rounding
    step = ROUNDING * one.member.settings.learning_rate
    for name, share, slack in (("parameters", tolerance, step), ("first", tolerance, 0), ("second", 2 * tolerance, 0)):
        for a, b in zip(tensors(one, getattr(ours, name)), tensors(one, getattr(theirs, name)), strict=True):
            assert np.abs(a - b).max() <= share * np.abs(b).max() + slack, f"{name} {a.shape} of {one.member}"


def assert_same(ours: State, theirs: State) -> None:
    for field in dataclasses.fields(State):
        np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name), err_msg=field.name)


def assert_as_exact(jobs: list[Job], tolerance: float = EXACT) -> None:
    for one, ours, theirs in zip(jobs, stacked.advance(jobs), exact.advance(jobs), strict=True):
        assert_alike(one, ours, theirs, tolerance)


nodes = st.sampled_from([space.IDENTITY, *map(str, space.WIDTHS)])
some_points = st.builds(
    lambda widths, chosen: {
        **{f"node_{node}": width for node, width in enumerate(widths, start=1)},
        **{f"skip_{node}_{anchor}": flag for (node, anchor), flag in zip(space.skips(), chosen, strict=True)},
    },
    st.lists(nodes, min_size=5, max_size=5),
    st.lists(st.integers(0, 1), min_size=len(space.skips()), max_size=len(space.skips())),
)


@given(st.lists(st.tuples(some_points, st.integers(0, 2**32 - 1)), min_size=5, max_size=8))
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_step_is_that_of_the_exact_engine(members):
    assert_as_exact(
        [job(point, DATA, seed, epochs=1, **MIXED[n % len(MIXED)]) for n, (point, seed) in enumerate(members)]
    )


def test_identities_alone_and_skips_of_equal_width_are_not_projected():
    # skips between values of one width: added as they are, with the input 6 wide
    equal = {f"node_{node}": "16" for node in range(1, 6)} | {f"skip_{m}_{a}": 1 for m, a in space.skips()}
    bare = ALL_IDENTITY | {f"skip_{m}_{a}": 0 for m, a in space.skips()}
    points = [equal, bare, {**bare, "skip_1_0": 1, "skip_5_3": 1}, {**equal, "node_2": "identity", "node_3": "32"}]
    jobs = [job(point, DATA, seed=3, epochs=1) for point in (*points, *points[::-1])]
    assert_as_exact(jobs)
    assert len(jobs[0].state.parameters) == space.parameter_count(equal, 6, 3)


def test_several_epochs_are_those_of_the_exact_engine():
    jobs = population_of(8, first=20, epochs=5, keep_best=True)
    ours, theirs = stacked.advance(jobs), exact.advance(jobs)
    for one, a, b in zip(jobs, ours, theirs, strict=True):
        assert_alike(one, a, b, ROUNDING)
        assert a.best_epoch == b.best_epoch
        assert a.best_r2 == pytest.approx(b.best_r2, abs=ROUNDING)
        for x, y in zip(tensors(one, a.chosen()), tensors(one, b.chosen()), strict=True):
            assert np.abs(x - y).max() <= ROUNDING * np.abs(y).max()
    assert {state.best_epoch for state in ours} != {5}


def test_dropout_and_noise_are_those_of_the_exact_engine():
    jobs = population_of(8, variants=RANDOM)
    assert_as_exact(jobs)
    # and they do something
    for number in (4, 5):
        (plain,) = exact.advance([job(architecture(number), DATA, seed=number, epochs=1)])
        assert exact.advance([jobs[number]])[0].losses[0] != pytest.approx(plain.losses[0], rel=1e-4)


def test_random_numbers_are_those_of_the_kernels():
    index = np.arange(5000, dtype=np.uint32)
    ours = np.asarray(padded._uniform(np.uint32(123_456), index))
    np.testing.assert_array_equal(ours, [kernels.uniform(np.uint32(123_456), i) for i in index])


@pytest.mark.parametrize("point", [space.stacked_lstm(100, 2), space.stacked_lstm(7, 1)], ids=str)
def test_a_population_of_one_of_any_width(point):
    assert_as_exact([job(point, DATA, epochs=1)])


def test_outputs_are_those_of_the_keras_model():
    jobs = population_of(3)
    for one, state in zip(jobs, stacked.advance(jobs), strict=True):
        network = build.export(one.member.point, state.parameters, *DATA.inputs.shape[1:], DATA.targets.shape[2])
        judged = one.judged(state, np.asarray(network(DATA.held_inputs)))
        assert state.held_r2 == pytest.approx(judged.held_r2, abs=EXACT)


def test_a_population_of_none():
    assert stacked.advance([]) == []


def test_pausing_changes_nothing():
    jobs = population_of(8, first=40, variants=RANDOM, epochs=4, keep_best=True)
    paused = stacked.advance([dataclasses.replace(one, epochs=2) for one in jobs])
    again = stacked.advance([dataclasses.replace(one, state=state) for one, state in zip(jobs, paused, strict=True)])
    for ours, theirs in zip(again, stacked.advance(jobs), strict=True):
        assert_same(ours, theirs)


def test_members_have_budgets_of_their_own():
    jobs = [dataclasses.replace(one, epochs=n % 3) for n, one in enumerate(population_of(7))]
    states = stacked.advance(jobs)
    assert [state.epochs for state in states] == [0, 1, 2, 0, 1, 2, 0]
    assert states[0] is jobs[0].state
    assert_same(stacked.advance([dataclasses.replace(jobs[1], state=states[1])])[0], states[1])


@pytest.mark.parametrize("keep_best", [False, True])
def test_a_diverging_member_is_reported_and_does_not_touch_the_others(keep_best):
    jobs = population_of(8, epochs=3, keep_best=keep_best)
    sound = stacked.advance(jobs)
    broken = dataclasses.replace(jobs[2].state, parameters=np.full_like(jobs[2].state.parameters, np.inf))
    found = stacked.advance([*jobs[:2], dataclasses.replace(jobs[2], state=broken), *jobs[3:]])
    assert found[2].error == "training diverged in epoch 1 (learning rate 0.003)"
    assert found[2].losses == ()
    for number in (0, 1, *range(3, 8)):
        assert_same(found[number], sound[number])
    # and without it, when a copy of the first fills its place
    for ours, theirs in zip(stacked.advance([*jobs[:2], *jobs[3:]]), [*sound[:2], *sound[3:]], strict=True):
        assert_same(ours, theirs)
    # what has diverged is left alone
    assert stacked.advance([dataclasses.replace(jobs[2], state=found[2])]) == [found[2]]


def test_nothing_is_compiled_for_other_architectures_or_sizes():
    stacked.advance(population_of(8))
    before = stacked._epoch._cache_size(), stacked._forecasts._cache_size()
    stacked.advance(population_of(5, first=100, epochs=2))
    jobs = population_of(16, first=200, keep_best=True, learning_rate=0.01, variants=({},))
    states = stacked.advance(jobs)
    stacked.advance([dataclasses.replace(one, state=s, epochs=3) for one, s in zip(jobs, states, strict=True)])
    assert (stacked._epoch._cache_size(), stacked._forecasts._cache_size()) == before


@given(some_points, st.booleans())
@settings(max_examples=20, deadline=None)
def test_parameters_keep_their_values_in_the_padded_arrays(point, dropout):
    layers = space.graph(point, 6, 3, dropout)
    line = slots.Line(layers)
    plan = slots.plan([line, *slots.covering(frozenset(point), 6, 3, dropout)])
    assert plan == slots.plan(slots.covering(frozenset(point), 6, 3, dropout))
    vector = parameters.initial(layers, 1) + 1
    tree = slots.pack(plan, [slots.Placed(line, plan)] * 2, [vector, 2 * vector])
    count = sum(int((part[0] != 0).sum()) for parts in tree.values() for part in parts.values())
    assert count == (vector != 0).sum()
    for factor, back in zip((1, 2), slots.unpack(tree, [slots.Placed(line, plan)] * 2), strict=True):
        np.testing.assert_array_equal(back, factor * vector)


def test_a_layer_without_a_kernel_is_refused(monkeypatch):
    monkeypatch.delitem(padded.KERNELS, "merge")
    with pytest.raises(ValueError, match="layer merge_1 is of kind merge, and the stacked engine knows only lstm"):
        stacked.advance(population_of(1))


def test_a_network_that_is_no_line_is_refused():
    layers = space.graph(space.stacked_lstm(4, 2), 6, 3)
    layers[2] = dataclasses.replace(layers[2], inputs=("input",))
    with pytest.raises(ValueError, match="layer node_2 follows input, not node_1"):
        slots.Line(layers)


def test_a_member_too_large_for_the_device_is_refused(monkeypatch):
    monkeypatch.setattr(stacked, "SHARE_OF_MEMORY", 1e-9)
    with pytest.raises(MemoryError, match="a member padded to 96 units needs"):
        stacked.advance(population_of(1))
