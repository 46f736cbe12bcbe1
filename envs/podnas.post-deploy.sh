# Run by Snakemake after it has made this environment (--software-deployment-method conda): podnas itself.
set -euo pipefail
pip install --no-deps --no-build-isolation --editable .
