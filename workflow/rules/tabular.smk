"""The tabular benchmark, where that is asked for: a job a split, one that reads test rows, scorecard and figure."""

TABULAR = EXPERIMENT.tabular

if TABULAR is not None:
    from podnas.tabular import sets as tabular_sets

    TABLES = {name: tabular_sets.find(TABULAR.folder, name) for name in TABULAR.sets}
    SPLITS = [
        (name, number)
        for name, path in TABLES.items()
        for number in tabular_sets.first_splits(tabular_sets.read(path), TABULAR.splits)
    ]

    ruleorder: tabular_scorecard > scorecard

    rule tabular_search:
        input:
            data=lambda wildcards: str(TABLES[wildcards.table]),
        output:
            forecasts=f"{RESULTS}/tabular/{{table}}/split_{{split}}.npz",
            trials=f"{RESULTS}/tabular/{{table}}/split_{{split}}_trials.parquet",
        log:
            f"{RESULTS}/logs/tabular_search_{{table}}_{{split}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_search_{{table}}.{{split}}.tsv"
        wildcard_constraints:
            table="|".join(TABLES),
            split=r"\d+",
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            # not an output: Snakemake deletes the outputs of a job that failed, and these are what it goes on from
            logs=f"{RESULTS}/tabular/{{table}}/trials",
            config=section("tabular", "folds", "space", "members", "floors", "recipe", "seed", "scored"),
            search=section("search"),
            code=code("tabular_search"),
        script:
            "../scripts/tabular_search.py"

    rule tabular_score:
        input:
            data=list(map(str, TABLES.values())),
            forecasts=[f"{RESULTS}/tabular/{name}/split_{number}.npz" for name, number in SPLITS],
        output:
            scores=f"{RESULTS}/tabular/scores.parquet",
        log:
            f"{RESULTS}/logs/tabular_score.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_score.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            # appended to, never made anew: it remembers every look at test targets; pseudo-test rows are none
            ledger=f"{RESULTS}/ledger.jsonl" if TABULAR.scored == "test" else "",
            floors=list(TABULAR.floors),
            code=code("tabular_score"),
        script:
            "../scripts/tabular_score.py"

    rule tabular_scorecard:
        input:
            scores=f"{RESULTS}/tabular/scores.parquet",
        output:
            json=f"{RESULTS}/scorecard.json",
            whole=f"{RESULTS}/tabular.json",
            page=f"{RESULTS}/scorecard.md",
            html=report(f"{RESULTS}/scorecard.html", caption="../report/tabular_table.rst", category="Scores"),
        log:
            f"{RESULTS}/logs/tabular_scorecard.log",
        benchmark:
            f"{RESULTS}/benchmarks/tabular_scorecard.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            stamp=tabular_stamp(len(SPLITS)),
            title=EXPERIMENT.title,
            code=code("tabular_scorecard"),
        script:
            "../scripts/tabular_scorecard.py"

    rule figure_tabular:
        input:
            json=f"{RESULTS}/tabular.json",
        output:
            figure=report(f"{RESULTS}/figures/tabular.png", caption="../report/tabular.rst", category="Scores"),
        log:
            f"{RESULTS}/logs/figure_tabular.log",
        benchmark:
            f"{RESULTS}/benchmarks/figure_tabular.tsv"
        conda:
            "../../envs/podnas.yaml"
        resources:
            mem_mb=memory,
            runtime=minutes,
        params:
            code=code("figure_tabular"),
        script:
            "../scripts/figure_tabular.py"
