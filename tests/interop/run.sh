#!/usr/bin/env bash
# run.sh BUILD_DIR: models and adapters go to Python's transformers and peft and back. The last line is `N passed, M
# failed`. PYTHON names the Python that has torch, transformers and peft; CSREFT_SMOLLM2 the default model.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}

if ! "$python" -c 'import peft, tokenizers, torch, transformers' 2>/dev/null; then
  echo "skipped: Python's peft is not installed"
  exit 0
fi
build=${1:?expected the build folder, such as build}
model=${CSREFT_SMOLLM2:-${XDG_CACHE_HOME:-$HOME/.cache}/csreft/SmolLM2-135M-Instruct.Q4_1.gguf}
ninja -C "$build" --quiet experiments/csreft tests/interop_helper
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}  # as ./run does
PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error TOKENIZERS_PARALLELISM=false \
  exec "$python" "$here/exchange.py" "$build" "$here/../golden/tiny-gqa" "$model"
