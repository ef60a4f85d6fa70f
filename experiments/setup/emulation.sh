# The emulated device: its build, and how much of the CUDA backend its tests execute.

emulation_packages=(libboost-context-dev)
most_uncovered=5.0 # percent of the lines under core/cuda

help_coverage() {
  cat <<END
./run coverage --device emulated

Builds with the CUDA backend emulated and its lines counted by gcov (build-coverage), runs the numeric tests on the
emulated device, and prints which lines under core/cuda they do not execute, file by file, and their share. A share of
$most_uncovered % or more is an error.
END
}

# Builds with the CUDA backend emulated, in a folder of its own. emulate FOLDER OPTIONS...
emulate() {
  build=$root/$1
  build_packages+=("${emulation_packages[@]}")
  prepare -Dcuda=emulated "${@:2}" -- tests/csreft_tests tests/cuda_emulation/cuda_emulation_tests experiments/csreft
}

# The emulation must find what is wrong before what it lets pass means anything.
check_emulation() {
  "$build/tests/cuda_emulation/cuda_emulation_tests" --minimal >&2 || die "the emulation fails its own tests"
}

# Runs gcov on what the tests have counted: a folder of reports for each object of core/cuda.
collect_reports() {
  local reports=$1 data
  while IFS= read -r data; do
    # Sources are named from the build folder.
    mkdir -p "$reports/$(basename "$data")"
    (cd "$build" && gcov -p "$data" >/dev/null 2>&1 && mv -- *.gcov "$reports/$(basename "$data")")
  done < <(find "$build/core/cuda" -name '*.gcda')
}

# The lines that are not executed, file by file, and their share. A header's line counts as executed when it was in any
# file that includes it.
print_uncovered() {
  find "$1" -name '*#core#cuda#*.gcov' ! -name '*cuda_emulation*' -exec awk -F: -v most="$most_uncovered" '
    /^ *-:/ { next }
    { count = $1; line = $2 + 0; gsub(/ /, "", count) }
    line > 0 && count ~ /^([0-9]+\*?|#####|=====)$/ {
      file = FILENAME; sub(/.*core#cuda#/, "", file); sub(/\.gcov$/, "", file)
      known[file, line] = file
      if (count ~ /^[0-9]/) executed[file, line] = 1
    }
    END {
      for (key in known) {
        ++all; ++lines[known[key]]
        if (key in executed) continue
        ++missing; ++absent[known[key]]
        split(key, part, SUBSEP); at[known[key]] = at[known[key]] " " part[2]
      }
      for (file in absent) {
        n = split(at[file], numbers, " ")
        for (i = 2; i <= n; ++i) {
          for (k = i; k > 1 && numbers[k - 1] + 0 > numbers[k] + 0; --k) {
            swap = numbers[k]; numbers[k] = numbers[k - 1]; numbers[k - 1] = swap
          }
        }
        text = ""
        for (i = 1; i <= n; ++i) text = text " " numbers[i]
        printf "%4d of %4d  %s:%s\n", absent[file], lines[file], file, text
      }
      if (all == 0) { print "no line of core/cuda was compiled for coverage"; exit 1 }
      share = 100 * missing / all
      printf "%.1f %% of %d lines under core/cuda are not executed; expected less than %s %%\n", share, all, most
      exit share >= most
    }' {} +
}

coverage() {
  [[ $* == "--device emulated" || $* == "--device=emulated" ]] || die "expected ./run coverage --device emulated"
  emulate build-coverage -Dcoverage=true
  rm -rf "$build/coverage"
  find "$build" -name '*.gcda' -type f -delete
  check_emulation
  # On a full disk gcov has something to say, too, where that test expects one line.
  "$build/tests/csreft_tests" --device emulated --minimal --test-case-exclude='a full disk*' >&2 ||
    die "tests fail on the emulated device"
  collect_reports "$build/coverage"
  print_uncovered "$build/coverage"
}
