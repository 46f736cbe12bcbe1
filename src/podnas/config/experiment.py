"""The configuration of an experiment: all sections, and the rules that hold between them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, model_validator

from podnas.config.data import FieldConfig, PodConfig, SourceConfig
from podnas.config.ensembles import EnsembleConfig, StackConfig, SystemConfig
from podnas.config.probabilistic import ClassificationConfig, OutlookConfig, UncertaintyConfig
from podnas.config.protocols import BaselinesConfig, ProtocolConfig, WindowsConfig
from podnas.config.search import SearchConfig
from podnas.config.section import FULL, INDEX, RECURRENT, TWINS, Name, Section, update
from podnas.config.studies import JudgedConfig, LeakageConfig, TransferConfig
from podnas.config.tabular import TabularConfig
from podnas.config.training import TrainingConfig
from podnas.config.verify import EventConfig, ResourcesConfig, VerifyConfig


class ExperimentConfig(Section):
    """One experiment: config/config.yaml with config/experiments/*.yaml laid over it."""

    experiment: Name = Field(description="name of the folder under results/")
    title: str = Field(description="title on the scorecard and the report")
    source: SourceConfig = SourceConfig()
    field: FieldConfig = FieldConfig()
    pod: PodConfig
    windows: WindowsConfig = WindowsConfig()
    protocols: Annotated[tuple[ProtocolConfig, ...], Field(min_length=1)]
    baselines: BaselinesConfig = BaselinesConfig()
    training: TrainingConfig = TrainingConfig()
    search: SearchConfig = SearchConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    systems: dict[Name, SystemConfig] = Field(
        {},
        description="further systems of searched networks, by name, each with corrects (what training.corrects takes) "
        "and changes of training, search and ensemble; it forecasts as <name>_ensemble",
    )
    stack: StackConfig | None = None
    transfer: TransferConfig = TransferConfig()
    leakage: LeakageConfig | None = None
    judged: JudgedConfig | None = None
    tabular: TabularConfig | None = None
    outlook: OutlookConfig | None = None
    uncertainty: UncertaintyConfig | None = None
    classification: ClassificationConfig | None = None
    verify: VerifyConfig = VerifyConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _periods_agree(self) -> ExperimentConfig:
        names = [protocol.name for protocol in self.protocols]
        if len(set(names)) < len(names):
            raise ValueError(f"protocols have names {names}; each must be different")
        for protocol in self.protocols:
            if self.pod.train_last > protocol.train_last:
                raise ValueError(
                    f"pod.train_last is {self.pod.train_last}, inside the test period of protocol {protocol.name}; "
                    f"set pod.train_last <= {protocol.train_last}, or the modes have seen the test weeks"
                )
        if self.pod.coefficients == "released" and self.source.kind not in TWINS:
            raise ValueError(
                f"pod.coefficients: released goes with source.kind: {' or '.join(TWINS)} (it is {self.source.kind}); "
                "with real fields "
                "set pod.coefficients: projected, since the released modes are only estimates"
            )
        if self.pod.coefficients == "released" and self.source.kind == "daymet_twin":
            self._check_daymet_released()
        if self.windows.inputs != self.windows.outputs and self.classification is None:
            raise ValueError(
                f"windows have {self.windows.inputs} inputs and {self.windows.outputs} outputs; networks of the SC20 "
                "space give one lead a step: set windows.inputs equal to windows.outputs"
            )
        for system in self.system_names():
            self._check_lead_weights(system)
        if self.verify.map_lead_weeks > self.windows.outputs:
            raise ValueError(
                f"verify.map_lead_weeks is {self.verify.map_lead_weeks}, "
                f"but forecasts end at lead {self.windows.outputs}; set it <= windows.outputs"
            )
        return self

    def _check_lead_weights(self, system: str) -> None:
        weights = self.of_system(system).training.lead_weights
        if weights is not None and len(weights) != self.windows.outputs:
            raise ValueError(
                f"{_place(system)}training.lead_weights has {len(weights)} weights, but windows.outputs is "
                f"{self.windows.outputs}; give one for each lead"
            )

    def _check_daymet_released(self) -> None:
        if self.source.variable != "tmax" or self.pod.modes is None:
            raise ValueError(
                f"DayMet's released coefficients are of tmax and need a number of modes (source.variable is "
                f"{self.source.variable}, pod.modes {self.pod.modes}); set both, or pod.coefficients: projected"
            )

    @model_validator(mode="after")
    def _search_feeds_the_ensemble(self) -> ExperimentConfig:
        if self.tabular is not None:
            return self
        for system in self.system_names():
            own = self.of_system(system)
            steps = own.search.two_step
            finished = own.search.trials if steps is None else steps.second_trials(own.search.trials)
            rolling = [one.rolling.members for one in self.protocols if one.rolling is not None]
            for key, members in [("ensemble.members", own.ensemble.members)] + [
                ("rolling.members", n) for n in rolling
            ]:
                if finished < members:
                    raise ValueError(
                        f"{_place(system)}{key} is {members}, but the last step of the search makes {finished} "
                        f"trials; raise search.trials (or search.two_step.top), or lower {key}"
                    )
        return self

    @model_validator(mode="after")
    def _systems_have_names_of_their_own(self) -> ExperimentConfig:
        for name in self.systems:
            if name in (RECURRENT, "trials"):
                raise ValueError(f"systems.{name}: this name is taken; choose another")
        return self

    @model_validator(mode="after")
    def _rolling_protocols_find_architectures(self) -> ExperimentConfig:
        for protocol in self.protocols:
            self.architectures_of(protocol.name)
        return self

    @model_validator(mode="after")
    def _stacked_networks_hold_every_block_out(self) -> ExperimentConfig:
        for system in self.stacked_systems():
            if system not in self.system_names():
                raise ValueError(f"stack.systems has {system}; systems here are {', '.join(self.system_names())}")
            counts = {f"{_place(system)}ensemble.members": self.of_system(system).ensemble.members}
            counts |= {f"rolling.members of {p.name}": p.rolling.members for p in self.protocols if p.rolling}
            for key, members in counts.items():
                if members < self.windows.validation_blocks:
                    raise ValueError(
                        f"{key} is {members}, but the stack needs each of the windows.validation_blocks = "
                        f"{self.windows.validation_blocks} held out by a member of {system}; raise {key}, or leave "
                        f"{system} out of stack.systems"
                    )
        return self

    @model_validator(mode="after")
    def _transfer_holds_every_block_out(self) -> ExperimentConfig:
        count, blocks = self.transfer.architectures, self.windows.validation_blocks
        if self.transfer.catalogue is None:
            return self
        if count % blocks:
            raise ValueError(
                f"transfer.architectures is {count}, but each of the windows.validation_blocks = {blocks} is held out "
                f"alike; set it to {max(1, round(count / blocks)) * blocks}"
            )
        if (system := self.transfer.system) not in self.system_names():
            raise ValueError(f"transfer.system is {system}; systems here are {', '.join(self.system_names())}")
        members = self.of_system(system).ensemble.members
        if count > members:
            raise ValueError(
                f"transfer.architectures is {count}, but this experiment's own catalogue has "
                f"{_place(system)}ensemble.members = {members}; raise that, or lower transfer.architectures"
            )
        return self

    @model_validator(mode="after")
    def _the_laboratory_is_clean_but_for_its_leaks(self) -> ExperimentConfig:
        if self.leakage is None:
            return self
        names = [protocol.name for protocol in self.protocols]
        if self.leakage.protocol not in names:
            raise ValueError(
                f"leakage.protocol is {self.leakage.protocol}, but protocols are {names}; name one of them"
            )
        if self.training.corrects is not None:
            raise ValueError(
                f"training.corrects is {self.training.corrects}, but the networks of the leakage laboratory forecast "
                "the coefficients themselves, as SC20's; set it to null"
            )
        if self.training.head is not None:
            raise ValueError(
                f"training.head is {self.training.head}, but the leakage laboratory compares R² of one forecast, as "
                "SC20's; set it to null"
            )
        periods = self.protocol(self.leakage.protocol)
        weeks = (periods.test_last - periods.test_first).days // 7 + 1
        least = 2 * (self.windows.inputs + self.windows.outputs)
        if not least <= self.leakage.weeks <= weeks - least:
            raise ValueError(
                f"leakage.weeks is {self.leakage.weeks}, but protocol {periods.name} has {weeks} test weeks; both "
                f"those that leak and those that do not need windows: set it from {least} to {weeks - least}"
            )
        return self

    @model_validator(mode="after")
    def _searches_can_be_judged(self) -> ExperimentConfig:
        asked = self.judged
        if asked is None:
            return self
        names = [protocol.name for protocol in self.protocols if protocol.rolling is None]
        if asked.protocol not in names:
            raise ValueError(f"judged.protocol is {asked.protocol}, but protocols are {names}; name one of them")
        if asked.top > self.search.trials:
            raise ValueError(
                f"judged.top is {asked.top}, but search.trials is {self.search.trials}; lower it, or raise the trials"
            )
        self._check_equal_trials()
        ablation = asked.ablation
        for key, blocks in (("judged.blocks", asked.blocks), ("judged.ablation.blocks", ablation and ablation.blocks)):
            last = max((max(one.validated, one.untouched) for one in blocks or ()), default=0)
            if last >= self.windows.validation_blocks:
                raise ValueError(
                    f"{key} has block {last}, but windows.validation_blocks is {self.windows.validation_blocks}; "
                    f"blocks are numbered from 0 to {self.windows.validation_blocks - 1}"
                )
        for name, (training, *_) in self.ingredients().items():
            weights = training.lead_weights
            if training.corrects is not None:
                raise ValueError(
                    f"networks of {name} correct {training.corrects}, but those that are judged forecast the "
                    "coefficients themselves; set training.corrects to null"
                )
            if training.head is not None:
                raise ValueError(
                    f"networks of {name} have a {training.head} head, but those that are judged are compared by R² of "
                    "one forecast; set training.head to null"
                )
            if weights is not None and len(weights) != self.windows.outputs:
                raise ValueError(
                    f"judged.ablation.ingredients.{name}.training.lead_weights has {len(weights)} weights, but "
                    f"windows.outputs is {self.windows.outputs}; give one for each lead"
                )
        return self

    @model_validator(mode="after")
    def _tables_can_be_searched(self) -> ExperimentConfig:
        if self.tabular is None:
            return self
        if (algorithm := self.search.algorithm) in ("asha", "hyperband"):
            raise ValueError(
                f"search.algorithm is {algorithm}, but trials of the tabular benchmark are trained once, to their end; "
                "take agebo, bo, evolution or random"
            )
        if self.search.trials < 2:
            raise ValueError("search.trials is 1, but an ensemble of the tabular benchmark is chosen from two or more")
        self._check_equal_trials()
        return self

    @model_validator(mode="after")
    def _an_index_has_one_study(self) -> ExperimentConfig:
        given = [name for name in ("outlook", "classification") if getattr(self, name) is not None]
        regional = self.classification.heatwaves if self.classification is not None else None
        index = self.source.kind == INDEX
        if len(given) != (index or regional is not None) or (regional and index):
            raise ValueError(
                f"source.kind is {self.source.kind} and sections of an index are there: {', '.join(given) or 'none'}; "
                f"an index ({INDEX}) has either outlook or classification, and only an index has one, but for "
                "classification.heatwaves, which goes with a field"
            )
        asked, by_name = self.outlook, {one.name: one for one in self.protocols}
        if self.classification is not None and self.classification.protocol not in by_name:
            raise ValueError(
                f"classification.protocol is {self.classification.protocol}; protocols are {list(by_name)}"
            )
        if regional is not None:
            self.verify.region(regional.region)
        if asked is None:
            return self
        for key, name in (("protocol", asked.protocol), ("sealed", asked.sealed)):
            if name not in by_name or by_name[name].rolling is not None:
                raise ValueError(f"outlook.{key} is {name}; protocols that are fitted once are {list(by_name)}")
        record, sealed = by_name[asked.protocol], by_name[asked.sealed]
        if sealed.test_first <= record.test_last:
            raise ValueError(
                f"protocol {record.name} is tested to {record.test_last}, and the weeks of {sealed.name} are sealed "
                f"from {sealed.test_first} on; they must not meet"
            )
        if self.training.head is None:
            raise ValueError("training.head is null, but an outlook needs a spread; set it to gaussian")
        if self.search.ranks > 1:
            raise ValueError(f"search.ranks is {self.search.ranks}; the networks of an outlook are searched by one")
        if self.search.trials < asked.architectures:
            raise ValueError(
                f"outlook.architectures is {asked.architectures}, but search.trials is {self.search.trials}; lower it"
            )
        return self

    @model_validator(mode="after")
    def _candidates_have_a_spread(self) -> ExperimentConfig:
        if (asked := self.uncertainty) is None:
            return self
        if self.training.head is None:
            raise ValueError(
                "uncertainty needs networks that give a sigma, but training.head is null; set it to gaussian"
            )
        if all(protocol.rolling for protocol in self.protocols):
            raise ValueError("uncertainty needs a protocol that is fitted once; all are rolling: add one that is not")
        steps = self.search.two_step
        finished = self.search.trials if steps is None else steps.second_trials(self.search.trials)
        if asked.candidates > finished:
            raise ValueError(
                f"uncertainty.candidates is {asked.candidates}, but the last step of the search makes {finished} "
                "trials; lower it, or raise search.trials"
            )
        return self

    def _check_equal_trials(self) -> None:
        """Raise ValueError where searches of a study might not have equal trials, or trials like these."""
        refused = {
            "ranks": self.search.ranks > 1,
            "two_step": self.search.two_step is not None,
            "second_objective": self.search.second_objective is not None,
            "time_limit_minutes": self.search.time_limit_minutes is not None,
            "trial_limit_minutes": self.search.trial_limit_minutes is not None,
        }
        for key in (key for key, is_set in refused.items() if is_set):
            raise ValueError(
                f"search.{key} is {getattr(self.search, key)}, but this study's searches have equal trials in one "
                f"process; set it to {'1' if key == 'ranks' else 'null'}"
            )

    def ingredients(self) -> dict[str, tuple[TrainingConfig, WindowsConfig, EnsembleConfig]]:
        """Settings that the ablation compares: the experiment's own (FULL), and each ingredient's change laid over."""
        made = {FULL: (self.training, self.windows, self.ensemble)}
        ablation = self.judged.ablation if self.judged else None
        for name, change in (ablation.ingredients if ablation else {}).items():
            given = {"harmonics": change.harmonics, "order": change.order}
            made[name] = (
                _laid_over(self.training, change.training),
                self.windows.model_copy(update={key: value for key, value in given.items() if value is not None}),
                _laid_over(self.ensemble, change.ensemble),
            )
        return made

    @model_validator(mode="after")
    def _events_are_forecast(self) -> ExperimentConfig:
        for event in self.verify.events:
            if not any(event in self.events(protocol.name) for protocol in self.protocols):
                raise ValueError(
                    f"event {event.name}: no protocol forecasts {event.week} at lead {self.verify.map_lead_weeks}; "
                    "choose a week inside a test period, after its first windows.inputs weeks"
                )
        return self

    def protocol(self, name: str) -> ProtocolConfig:
        """The protocol of that name."""
        return next(protocol for protocol in self.protocols if protocol.name == name)

    def system_names(self) -> tuple[str, ...]:
        """All systems of searched networks, the pure one first."""
        return (RECURRENT, *self.systems)

    def of_system(self, name: str) -> ExperimentConfig:
        """The experiment as a system of networks sees it: its changes laid over training, search and ensemble."""
        if name == RECURRENT:
            return self
        system = self.systems[name]
        changed = {
            key: _laid_over(getattr(self, key), getattr(system, key)) for key in ("training", "search", "ensemble")
        }
        changed["training"] = changed["training"].model_copy(update={"corrects": system.corrects})
        return self.model_copy(update=changed)

    def stacked_systems(self) -> tuple[str, ...]:
        """Systems whose ensembles enter the complete system."""
        if self.stack is None:
            return ()
        return tuple(self.systems) if self.stack.systems is None else self.stack.systems

    def architectures_of(self, protocol: str) -> str:
        """The protocol whose searches find the architectures: itself, or of a rolling one that with the same training.

        Raises ValueError where there is none.
        """
        mine = self.protocol(protocol)
        if mine.rolling is None:
            return protocol
        for one in self.protocols:
            if one.rolling is None and (one.train_first, one.train_last) == (mine.train_first, mine.train_last):
                return one.name
        raise ValueError(
            f"protocol {protocol} is rolling, but no other protocol is trained from {mine.train_first} to "
            f"{mine.train_last}, whose searches would find its architectures; add one, or change train_first and "
            "train_last"
        )

    def events(self, protocol: str) -> tuple[EventConfig, ...]:
        """The event weeks that a protocol forecasts at the lead of the maps."""
        periods = self.protocol(protocol)
        spent = self.windows.inputs + self.verify.map_lead_weeks - 1
        first = periods.test_first + timedelta(weeks=spent)
        last = periods.test_last - timedelta(weeks=self.windows.outputs - self.verify.map_lead_weeks - 1, days=1)
        return tuple(event for event in self.verify.events if first <= event.week <= last)


def _place(system: str) -> str:
    """How the keys of a system's sections begin."""
    return "" if system == RECURRENT else f"systems.{system}."


def _laid_over(section: Any, changes: Section) -> Any:
    """A section with the keys that are set in `changes`."""
    merged = section.model_dump()
    update(merged, changes.model_dump(exclude_unset=True))
    return type(section).model_validate(merged)
