#!/usr/bin/env bash
# What only a GPU can tell, in 8 minutes on one card: bash benchmarks/gpu_check.sh
# One JSON file is left, runs/gpu_check.json; benchmarks/README.md says what stands in it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3)
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
exec "$python" benchmarks/gpu_check.py "$@"
