# Tests side by side.

# files_of_tests PROGRAM [flags]: the sources of the test cases that the flags choose.
files_of_tests() {
  "$@" --list-test-cases --reporters=xml | sed -n 's/^ *<TestCase .* filename="\([^"]*\)".*/\1/p' | sort -u
}

# test_by_file PROGRAM [flags]: the tests that the flags choose, each source's in a process of its own, as many at a time
# as there are cores, for tests that compute with one thread. A line for each source as it ends, and what was printed
# where something failed; the last line is `N passed, M failed`. A process that ends without such a line is a failure.
test_by_file() {
  local line passed=0 failed=0
  temporary=$(mktemp)
  trap remove_temporary EXIT
  export -f test_file
  # shellcheck disable=SC2016  # for the shell that xargs starts
  files_of_tests "$@" | xargs -r -d '\n' -P "$(nproc)" -I {} bash -c 'test_file "$@"' - {} "$@" | tee "$temporary"
  while IFS= read -r line; do
    if [[ $line =~ ^[^\ ]+:\ ([0-9]+)\ passed,\ ([0-9]+)\ failed\ \([0-9]+\ s\)$ ]]; then
      passed=$((passed + BASH_REMATCH[1]))
      failed=$((failed + BASH_REMATCH[2]))
    fi
  done <"$temporary"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0 && passed > 0))
}

# test_file SOURCE PROGRAM [flags]
test_file() {
  local source=$1 start=$SECONDS status printed last
  shift
  printed=$("$@" --source-file="$source" 2>&1) && status=0 || status=$?
  last=${printed##*$'\n'}
  if [[ ! $last =~ ^[0-9]+\ passed,\ [0-9]+\ failed$ ]]; then
    last="0 passed, 1 failed"
    printed+=$'\n'"$source ended with exit status $status"
  fi
  if [[ $last == *" 0 failed" ]]; then printed=; else printed+=$'\n'; fi
  # One write, so that what processes side by side print does not mix.
  printf '%s%s: %s (%d s)\n' "$printed" "${source#../}" "$last" $((SECONDS - start))
}
