"""Everything before to pictures for the report."""

# two methods are drawn in detail: the searched one, and the simple one that is hardest to beat
DRAWN = ["recurrent_ensemble", "damped_persistence"]


rule figure_spectrum:
    input:
        # the POD of the field itself: the released coefficients know no rank beyond the modes they keep
        basis=f"{RESULTS}/reduction/basis.nc",
        train=[f"{RESULTS}/windows/{name}/train.nc" for name in PROTOCOLS],
        test_inputs=[f"{RESULTS}/windows/{name}/test_inputs.nc" for name in PROTOCOLS],
    output:
        figure=report(
            f"{RESULTS}/figures/spectrum.png",
            caption="../report/spectrum.rst",
            category="Modes",
            labels={"figure": "spectrum", "protocol": "all"},
        ),
    log:
        f"{RESULTS}/logs/figure_spectrum.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_spectrum.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        stamps=[stamp(name) for name in PROTOCOLS],
        code=code("figure_spectrum"),
    script:
        "../scripts/figure_spectrum.py"


rule figure_modes:
    input:
        basis=BASIS,
        train=[f"{RESULTS}/windows/{name}/train.nc" for name in PROTOCOLS],
        test_inputs=[f"{RESULTS}/windows/{name}/test_inputs.nc" for name in PROTOCOLS],
    output:
        figure=report(
            f"{RESULTS}/figures/modes.png",
            caption="../report/modes.rst",
            category="Modes",
            labels={"figure": "modes", "protocol": "all"},
        ),
    log:
        f"{RESULTS}/logs/figure_modes.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_modes.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        stamps=[stamp(name) for name in PROTOCOLS],
        code=code("figure_modes"),
    script:
        "../scripts/figure_modes.py"


rule figure_coefficients:
    input:
        coefficients=COEFFICIENTS,
        forecasts=[f"{RESULTS}/forecasts/{{protocol}}/{name}.nc" for name in DRAWN],
    output:
        figure=report(
            f"{RESULTS}/figures/coefficients_{{protocol}}.png",
            caption="../report/coefficients.rst",
            category="Forecasts",
            labels={"figure": "coefficients", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_coefficients_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_coefficients_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("verify"),
        code=code("figure_coefficients"),
    script:
        "../scripts/figure_coefficients.py"


rule figure_skill:
    input:
        scores=f"{RESULTS}/scores/{{protocol}}.parquet",
        forecast=f"{RESULTS}/forecasts/{{protocol}}/recurrent_ensemble.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/skill_{{protocol}}.png",
            caption="../report/skill.rst",
            category="Skill",
            labels={"figure": "skill", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_skill_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_skill_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("figure_skill"),
    script:
        "../scripts/figure_skill.py"


rule figure_trajectory:
    input:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/trajectory_{{protocol}}.png",
            caption="../report/trajectory.rst",
            category="Search",
            labels={"figure": "trajectory", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_trajectory_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_trajectory_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        stamp=lambda wildcards: stamp(wildcards.protocol),
        code=code("figure_trajectory"),
    script:
        "../scripts/figure_trajectory.py"


rule figure_architectures:
    input:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/architectures_{{protocol}}.png",
            caption="../report/architectures.rst",
            category="Search",
            labels={"figure": "architectures", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_architectures_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_architectures_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=section("windows"),
        seed=EXPERIMENT.search.seed,
        stamp=lambda wildcards: stamp(wildcards.protocol),
        code=code("figure_architectures"),
    script:
        "../scripts/figure_architectures.py"


rule figure_two_step:
    input:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/two_step_{{protocol}}.png",
            caption="../report/two_step.rst",
            category="Search",
            labels={"figure": "two steps", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_two_step_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_two_step_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        share=EXPERIMENT.search.two_step.fraction if EXPERIMENT.search.two_step else None,
        stamp=lambda wildcards: stamp(wildcards.protocol),
        code=code("figure_two_step"),
    script:
        "../scripts/figure_two_step.py"


rule figure_pareto:
    input:
        trials=f"{RESULTS}/search/{{protocol}}/trials.parquet",
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_inputs=f"{RESULTS}/windows/{{protocol}}/test_inputs.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/pareto_{{protocol}}.png",
            caption="../report/pareto.rst",
            category="Search",
            labels={"figure": "Pareto set", "protocol": "{protocol}"},
        ),
        table=f"{RESULTS}/search/{{protocol}}/pareto.csv",
    log:
        f"{RESULTS}/logs/figure_pareto_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_pareto_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        measure=EXPERIMENT.search.second_objective,
        stamp=lambda wildcards: stamp(wildcards.protocol),
        code=code("figure_pareto"),
    script:
        "../scripts/figure_pareto.py"


rule figure_events:
    input:
        maps=f"{RESULTS}/scores/{{protocol}}_maps.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/events_{{protocol}}.png",
            caption="../report/events.rst",
            category="Forecasts",
            labels={"figure": "events", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_events_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_events_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("figure_events"),
    script:
        "../scripts/figure_events.py"


rule figure_rmse_map:
    input:
        maps=f"{RESULTS}/scores/{{protocol}}_maps.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/rmse_map_{{protocol}}.png",
            caption="../report/rmse_map.rst",
            category="Forecasts",
            labels={"figure": "rmse map", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_rmse_map_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_rmse_map_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("figure_rmse_map"),
    script:
        "../scripts/figure_rmse_map.py"


rule figure_probes:
    input:
        maps=f"{RESULTS}/scores/{{protocol}}_maps.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/probes_{{protocol}}.png",
            caption="../report/probes.rst",
            category="Forecasts",
            labels={"figure": "probes", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_probes_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_probes_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("figure_probes"),
    script:
        "../scripts/figure_probes.py"


rule figure_differences:
    input:
        differences=f"{RESULTS}/scores/{{protocol}}_differences.json",
    output:
        figure=report(
            f"{RESULTS}/figures/differences_{{protocol}}.png",
            caption="../report/differences.rst",
            category="Scores",
            labels={"figure": "differences", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_differences_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_differences_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("figure_differences"),
    script:
        "../scripts/figure_differences.py"


rule figure_methods:
    input:
        scores=f"{RESULTS}/scores/{{protocol}}.parquet",
        forecast=f"{RESULTS}/forecasts/{{protocol}}/recurrent_ensemble.nc",
    output:
        figure=report(
            f"{RESULTS}/figures/methods_{{protocol}}.png",
            caption="../report/methods.rst",
            category="Skill",
            labels={"figure": "methods", "protocol": "{protocol}"},
        ),
    log:
        f"{RESULTS}/logs/figure_methods_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure_methods_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        # SC20 was trained on about the weeks of this protocol
        with_reported=lambda wildcards: EXPERIMENT.verify.reported == "sc20" and wildcards.protocol == "short",
        code=code("figure_methods"),
    script:
        "../scripts/figure_methods.py"
