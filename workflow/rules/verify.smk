"""Forecasts to scores."""

# catalogues of the networks behind each ensemble; of a rolling protocol, one of each refit
CATALOGUES = {
    protocol: {
        f"{system}_ensemble": [
            f"{RESULTS}/networks/{RUNS.path(origin, system)}/catalogue.json" for origin in RUNS.origins(protocol)
        ]
        for system in SYSTEMS
    }
    for protocol in PROTOCOLS
}

# records of the complete system: of a rolling protocol, one of each refit
STACKS = {
    protocol: {
        origin: f"{RESULTS}/predictions/{origin}/complete_system.json"
        for origin in RUNS.origins(protocol)
        if EXPERIMENT.stack
    }
    for protocol in PROTOCOLS
}


rule score:
    input:
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        test_targets=f"{RESULTS}/windows/{{protocol}}/test_targets.nc",
        field=f"{RESULTS}/field/field.nc",
        basis=BASIS,
        predictions=[f"{RESULTS}/predictions/{{protocol}}/{name}.nc" for name in METHODS],
    output:
        scores=f"{RESULTS}/scores/{{protocol}}.parquet",
        regions=f"{RESULTS}/scores/{{protocol}}_regions.json",
        maps=f"{RESULTS}/scores/{{protocol}}_maps.nc",
        forecasts=[f"{RESULTS}/forecasts/{{protocol}}/{name}.nc" for name in METHODS],
    log:
        f"{RESULTS}/logs/score_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        config=lambda wildcards: verification(wildcards.protocol),
        stamp=lambda wildcards: stamp(wildcards.protocol),
        ours=OURS,
        baselines=COMPARED,
        # appended to, never made anew: it remembers every look at test targets
        ledger=f"{RESULTS}/ledger.jsonl",
        code=code("score"),
    script:
        "../scripts/score.py"


rule differences:
    input:
        train=f"{RESULTS}/windows/{{protocol}}/train.nc",
        forecasts=[f"{RESULTS}/forecasts/{{protocol}}/{name}.nc" for name in [*COMPARED, *OURS]],
        # of protocols that are fitted once, beside one that is refitted
        once=lambda wildcards: [
            f"{RESULTS}/forecasts/{other}/{name}.nc"
            for other in SEARCHED
            for name in [*COMPARED, *OURS]
            if wildcards.protocol in ROLLING
        ],
    output:
        differences=f"{RESULTS}/scores/{{protocol}}_differences.json",
    log:
        f"{RESULTS}/logs/differences_{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/differences_{{protocol}}.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        ours=OURS,
        code=code("differences"),
    script:
        "../scripts/differences.py"


rule field_forecast:
    input:
        forecast=f"{RESULTS}/forecasts/{{protocol}}/{{method}}.nc",
        basis=BASIS,
    output:
        field=f"{RESULTS}/fields/{{protocol}}/{{method}}_lead{{lead}}.nc",
    log:
        f"{RESULTS}/logs/field_forecast_{{protocol}}_{{method}}_{{lead}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/field_forecast_{{protocol}}_{{method}}_{{lead}}.tsv"
    wildcard_constraints:
        method="|".join(METHODS),
        lead=r"\d+",
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        code=code("field_forecast"),
    script:
        "../scripts/field_forecast.py"


rule scorecard:
    input:
        scores=[f"{RESULTS}/scores/{name}.parquet" for name in PROTOCOLS],
        maps=[f"{RESULTS}/scores/{name}_maps.nc" for name in PROTOCOLS],
        differences=[f"{RESULTS}/scores/{name}_differences.json" for name in PROTOCOLS],
        regions=[f"{RESULTS}/scores/{name}_regions.json" for name in PROTOCOLS],
        catalogues=[file for of_protocol in CATALOGUES.values() for files in of_protocol.values() for file in files],
        stacks=[file for of_protocol in STACKS.values() for file in of_protocol.values()],
        # a twin of a part of DayMet's domain has modes of its own: they agree with the whole domain's in no way
        agreement=[f"{RESULTS}/reduction/agreement.json"] if EXPERIMENT.source.kind == "twin" and RELEASED else [],
    output:
        json=f"{RESULTS}/scorecard.json",
        page=f"{RESULTS}/scorecard.md",
        html=report(f"{RESULTS}/scorecard.html", caption="../report/scorecard.rst", category="Scores"),
    log:
        f"{RESULTS}/logs/scorecard.log",
    benchmark:
        f"{RESULTS}/benchmarks/scorecard.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        protocols=PROTOCOLS,
        catalogues=CATALOGUES,
        stacks=STACKS,
        title=EXPERIMENT.title,
        with_reported=EXPERIMENT.verify.reported == "sc20",
        ledger=f"{RESULTS}/ledger.jsonl",
        code=code("scorecard"),
    script:
        "../scripts/scorecard.py"


rule costs:
    input:
        page=f"{RESULTS}/scorecard.md",
        figures=lambda wildcards: figure_files(),
    output:
        costs=f"{RESULTS}/costs.csv",
        html=report(f"{RESULTS}/costs.html", caption="../report/costs.rst", category="Costs"),
    log:
        f"{RESULTS}/logs/costs.log",
    benchmark:
        f"{RESULTS}/benchmarks/costs.tsv"
    conda:
        "../../envs/podnas.yaml"
    resources:
        mem_mb=memory,
        runtime=minutes,
    params:
        # Snakemake's benchmark files are not inputs: they come with the artifacts above
        benchmarks=f"{RESULTS}/benchmarks",
        code=code("costs"),
    script:
        "../scripts/costs.py"
