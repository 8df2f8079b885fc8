#!/usr/bin/env bash
# All that is to be measured on a GPU, with one command and without network; the report is docs/evidence/gpu.md:
#
#     bash benchmarks/gpu.sh --images FOLDER    (of CIFAR-10: train/<class>/*.png and test/<class>/*.png)
#     bash benchmarks/gpu.sh --tiny             (on the CPU, in a minute: whether all parts run)
#
# It takes Python from the variable PYTHON, the active environment or .venv, in this order, or as `make` does.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
candidates=("${PYTHON:-}")
[ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] || candidates+=(python)
candidates+=("$root/.venv/bin/python" python3.12 python3.11 python3 python3.13 python3.14)

python=
for candidate in "${candidates[@]}"; do
  if [ -n "$candidate" ] && "$candidate" -c '
import sys
from importlib.util import find_spec
sys.exit(sys.version_info < (3, 11) or any(find_spec(name) is None for name in ("torch", "snakemake", "pytest")))
' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "error: no Python 3.11 or newer has what requirements.txt lists; run make, or name one with PYTHON=/path/to/python" >&2
  exit 1
fi

export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" "$root/benchmarks/gpu.py" "$@"
