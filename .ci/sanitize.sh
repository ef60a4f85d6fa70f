#!/usr/bin/env bash
# Builds the tests with AddressSanitizer, UndefinedBehaviorSanitizer and the assertions of Eigen and the standard
# library in build-sanitize, and runs those that fit: the last line is `N passed, M failed`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build='build-sanitize'
log=$build/ci.log

# Left out here, and run without sanitizers by ./run test:
# - what starts the programme, which trains and generates, many times over;
# - what measures memory or time, of which sanitizers take several times as much.
left_out=(
  '*tests/experiments/*_command_test.cpp'
  '*tests/experiments/command_line_test.cpp'
  '*tests/experiments/cli/cli_test.cpp'
  '*tests/experiments/cli/progress_test.cpp'
  '*tests/experiments/measure/*'
  '*tests/endurance/*'
  '*tests/autograd/head_cross_entropy_test.cpp'
)

if [[ ! -f $build/build.ninja ]]; then
  # Without MPI, whose library is not built for sanitizers: tests on several ranks are among those of the release build.
  meson setup "$build" --buildtype=plain -Doptimization=1 -Dsanitize=true -Dwerror=true -Dgrouped=enabled \
    -Db_pch=false -Db_ndebug=false -Dmpi=disabled -Dcpp_args=-D_GLIBCXX_ASSERTIONS
fi
ninja -C "$build" tests/csreft_tests >"$log" 2>&1 || {
  tail -n 40 "$log"
  exit 1
}
exclude=$(IFS=, && printf '%s' "${left_out[*]}")
# Threads that wait sleep soon, as with ./run. A library that is never unloaded keeps what it has allocated: leaks are
# not looked for. A test asks for more memory than there is, and expects an error of the project.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
exec "$build/tests/csreft_tests" --source-file-exclude="$exclude"
