"""AutoDEUQ, where that is asked for: a search's best networks to a calibrated ensemble, and how far it can be trusted."""

UNCERTAINTY = EXPERIMENT.uncertainty

if UNCERTAINTY is not None:
    FORECASTS = [
        *(["complete"] if UNCERTAINTY.with_baselines else []),
        *("ensemble", "best_candidate", "best_network", "deep_ensemble", "mc_dropout"),
        *UNCERTAINTY.baselines,
    ]
    POOLS = {
        name: f"{RESULTS}/uncertainty/{{protocol}}/{name}.nc" for name in ("candidates", "baselines", "comparators")
    }
    MADE = [f"{RESULTS}/uncertainty/{{protocol}}/forecasts/{name}.nc" for name in FORECASTS]
    # claims about space are verified on real fields: the twin's maps are estimates
    IN_SPACE = SEARCHED if EXPERIMENT.source.kind not in podnas_config.TWINS else []

    rule candidates:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
            trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        output:
            pool=POOLS["candidates"],
            catalogue=f"{RESULTS}/uncertainty/{{protocol}}/candidates.json",
        log:
            f"{RESULTS}/logs/candidates_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/candidates_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            folder=f"{RESULTS}/uncertainty/{{protocol}}/candidates",
            config=section("uncertainty", "candidates", "epochs", "sizes", "seed"),
            training=section("training"),
            windows=section("windows"),
            code=code("candidates"),
        script:
            "../scripts/candidates.py"

    rule comparators:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
            pool=POOLS["candidates"],
            catalogue=f"{RESULTS}/uncertainty/{{protocol}}/candidates.json",
        output:
            pool=POOLS["comparators"],
        log:
            f"{RESULTS}/logs/comparators_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/comparators_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        threads: EXPERIMENT.resources.search_threads
        resources:
            mem_mb=memory,
            runtime=minutes,
            work=work,
        params:
            # not an output, as above
            folder=f"{RESULTS}/uncertainty/{{protocol}}/deep_ensemble",
            config=section("uncertainty"),
            training=section("training"),
            windows=section("windows"),
            code=code("comparators"),
        script:
            "../scripts/comparators.py"

    rule gaussian_baselines:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
        output:
            pool=POOLS["baselines"],
        log:
            f"{RESULTS}/logs/gaussian_baselines_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/gaussian_baselines_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            names=list(UNCERTAINTY.baselines),
            baselines=section("baselines"),
            windows=section("windows"),
            code=code("gaussian_baselines"),
        script:
            "../scripts/gaussian_baselines.py"

    rule selection:
        input:
            **POOLS,
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        output:
            selection=f"{RESULTS}/uncertainty/{{protocol}}/selection.json",
        log:
            f"{RESULTS}/logs/selection_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/selection_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            config=section("uncertainty"),
            code=code("selection"),
        script:
            "../scripts/selection.py"

    rule mixture:
        input:
            **POOLS,
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
            selection=f"{RESULTS}/uncertainty/{{protocol}}/selection.json",
        output:
            forecasts=MADE,
        log:
            f"{RESULTS}/logs/mixture_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/mixture_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("mixture"),
        script:
            "../scripts/mixture.py"

    rule probabilistic_score:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            test_targets=f"{RESULTS}/windows/{{protocol}}/test_targets.nc",
            selection=f"{RESULTS}/uncertainty/{{protocol}}/selection.json",
            forecasts=MADE,
        output:
            scores=f"{RESULTS}/uncertainty/scores/{{protocol}}.json",
            fan=f"{RESULTS}/uncertainty/{{protocol}}/fan.nc",
        log:
            f"{RESULTS}/logs/probabilistic_score_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/probabilistic_score_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            seed=UNCERTAINTY.seed,
            stamp=lambda wildcards: stamp(wildcards.protocol),
            # appended to, never made anew: it remembers every look at test targets
            ledger=f"{RESULTS}/ledger.jsonl",
            code=code("probabilistic_score"),
        script:
            "../scripts/probabilistic_score.py"

    rule spread_maps:
        input:
            train=f"{RESULTS}/windows/{{protocol}}/train.nc",
            forecasts=MADE,
            field=f"{RESULTS}/field/field.nc",
            basis=BASIS,
            coefficients=COEFFICIENTS,
            # they say which baseline is best, and come first, so that both do not write into the ledger at once
            scores=f"{RESULTS}/uncertainty/scores/{{protocol}}.json",
        output:
            maps=f"{RESULTS}/uncertainty/{{protocol}}/spread_maps.nc",
            found=f"{RESULTS}/uncertainty/space/{{protocol}}.json",
        log:
            f"{RESULTS}/logs/spread_maps_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/spread_maps_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            config=section("verify"),
            train_last=lambda wildcards: str(EXPERIMENT.protocol(wildcards.protocol).train_last),
            stamp=lambda wildcards: stamp(wildcards.protocol),
            ledger=f"{RESULTS}/ledger.jsonl",
            code=code("spread_maps"),
        script:
            "../scripts/spread_maps.py"

    rule verification:
        input:
            scores=[f"{RESULTS}/uncertainty/scores/{name}.json" for name in SEARCHED],
            in_space=[f"{RESULTS}/uncertainty/space/{name}.json" for name in IN_SPACE],
        output:
            json=f"{RESULTS}/verification.json",
            page=f"{RESULTS}/verification.md",
            html=report(f"{RESULTS}/verification.html", caption="../report/verification.rst", category="Uncertainty"),
        log:
            f"{RESULTS}/logs/verification.log",
        benchmark:
            f"{RESULTS}/benchmarks/verification.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            ledger=f"{RESULTS}/ledger.jsonl",
            title=EXPERIMENT.title,
            code=code("verification"),
        script:
            "../scripts/verification.py"

    rule figure_fan:
        input:
            fan=f"{RESULTS}/uncertainty/{{protocol}}/fan.nc",
        output:
            figure=report(
                f"{RESULTS}/figures/fan_{{protocol}}.png", caption="../report/fan.rst", category="Uncertainty"
            ),
        log:
            f"{RESULTS}/logs/figure_fan_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_fan_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            lead=EXPERIMENT.verify.map_lead_weeks,
            code=code("figure_fan"),
        script:
            "../scripts/figure_fan.py"

    rule figure_calibration:
        input:
            scores=f"{RESULTS}/uncertainty/scores/{{protocol}}.json",
        output:
            figure=report(
                f"{RESULTS}/figures/calibration_{{protocol}}.png",
                caption="../report/calibration.rst",
                category="Uncertainty",
            ),
        log:
            f"{RESULTS}/logs/figure_calibration_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_calibration_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_calibration"),
        script:
            "../scripts/figure_calibration.py"

    rule figure_spread_skill:
        input:
            scores=f"{RESULTS}/uncertainty/scores/{{protocol}}.json",
        output:
            figure=report(
                f"{RESULTS}/figures/spread_skill_{{protocol}}.png",
                caption="../report/spread_skill.rst",
                category="Uncertainty",
            ),
        log:
            f"{RESULTS}/logs/figure_spread_skill_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_spread_skill_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_spread_skill"),
        script:
            "../scripts/figure_spread_skill.py"

    rule figure_ensembles:
        input:
            selection=f"{RESULTS}/uncertainty/{{protocol}}/selection.json",
            scores=f"{RESULTS}/uncertainty/scores/{{protocol}}.json",
        output:
            figure=report(
                f"{RESULTS}/figures/ensembles_{{protocol}}.png",
                caption="../report/ensembles.rst",
                category="Uncertainty",
            ),
        log:
            f"{RESULTS}/logs/figure_ensembles_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_ensembles_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_ensembles"),
        script:
            "../scripts/figure_ensembles.py"

    rule figure_spread_maps:
        input:
            maps=f"{RESULTS}/uncertainty/{{protocol}}/spread_maps.nc",
        output:
            figure=report(
                f"{RESULTS}/figures/spread_maps_{{protocol}}.png",
                caption="../report/spread_maps.rst",
                category="Uncertainty",
            ),
        log:
            f"{RESULTS}/logs/figure_spread_maps_{{protocol}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_spread_maps_{{protocol}}.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_spread_maps"),
        script:
            "../scripts/figure_spread_maps.py"
