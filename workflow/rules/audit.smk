"""All that is fitted or chosen, and nothing that has seen test targets: what `podnas audit` runs and compares."""


rule fitted:
    input:
        f"{RESULTS}/reduction/basis.nc",
        BASIS,
        COEFFICIENTS,
        [f"{RESULTS}/windows/{name}/train.nc" for name in PROTOCOLS],
        [f"{RESULTS}/predictions/{name}/{method}.nc" for name in PROTOCOLS for method in METHODS],
        [f"{RESULTS}/transfer/{name}/networks.json" for name in PROTOCOLS if EXPERIMENT.transfer.catalogue],
