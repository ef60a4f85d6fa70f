#!/bin/sh
# csreft NAME [flags], test [flags] or golden values by test --golden DIR: as ./run does, from the folder that this script
# is in, wherever that is. Everything it needs but glibc is there; for CUDA, cuBLAS comes from a toolkit or a wheel of the
# machine (CSREFT_CUBLAS=DIR), and the default model lies beside this script or where CSREFT_SMOLLM2=FILE says.
script=$0
if [ -L "$script" ]; then script=$(readlink -f "$script"); fi
case $script in
  */*) here=$(cd "${script%/*}" && pwd -P) || exit 2 ;;
  *) here=$(pwd -P) ;;
esac

: "${CSREFT_SMOLLM2:=$here/SmolLM2-135M-Instruct.Q4_1.gguf}" "${GOMP_SPINCOUNT:=10000}"
export CSREFT_SMOLLM2 GOMP_SPINCOUNT
# For the tests, whoever starts them.
export CSREFT_SOURCE="$here/source" CSREFT_PROGRAM="$here/bin/csreft"

# What this machine lacks, as the tests' suites name it.
lacking=
if ! [ -d /usr/share/wordnet ]; then lacking='needs WordNet'; fi
if ! command -v gnuplot >/dev/null; then lacking=$lacking${lacking:+,}'needs gnuplot'; fi

export CSREFT_TESTS_LEFT_OUT="$lacking"

if [ "${1:-}" != test ]; then
  export CSREFT_COMMAND="$0" CSREFT_COMMANDS=test
  exec "$here/bin/csreft" "$@"
fi
shift
case ${1:-} in
  -h | --help)
    cat <<END
$0 test [--device D] [--test-case='*rope*'] [doctest's flags]
$0 test [--device D] --golden DIR

Runs the tests, or checks the golden values in DIR; the last line is \`N passed, M failed\`.

  --device cuda|cuda:N   what is numeric runs on an NVIDIA GPU
  --dt-help              all flags of doctest
END
    exit
    ;;
esac
if [ -n "$lacking" ]; then
  echo 'left out, since this machine does not have what they need:'
  "$here/bin/csreft_tests" --test-suite="$lacking" --list-test-cases --no-intro --no-version || exit
fi
exec "$here/bin/csreft_tests" "$@"
