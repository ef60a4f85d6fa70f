# Readers of files from strangers, driven by libFuzzer.

help_fuzz() {
  cat <<'END2'
./run fuzz [NAME ...] [--minutes N]

Drives the readers of files (safetensors, GGUF, tokenizers, configs, task data, adapters, ...) with inputs that libFuzzer
makes, under AddressSanitizer and UndefinedBehaviorSanitizer; every input must be read, or refused in one line. Without a
NAME: all of them, one after the other. `./run fuzz --list` lists them.

  --minutes N   of each reader; default 1. Two processes at a time, or as many as there are cores
  --list        the readers, a line each

Inputs that told something new stay in build-fuzz/corpus/NAME, from which the next run goes on; findings are in
build-fuzz/findings/NAME: `CSREFT_FUZZ_TARGET=NAME build-fuzz/tests/csreft_fuzz FILE` repeats one. Needs clang 14, which
is installed if it is missing.
END2
}

# The last line is `N passed, M failed`: readers without and with a finding.
run_fuzz() {
  local names=() minutes=1 list=false
  while (($# > 0)); do
    case $1 in
      --minutes) minutes=${2:-} && shift ;;
      --minutes=*) minutes=${1#*=} ;;
      --list) list=true ;;
      -*) die "unknown flag $1: expected --minutes N, --list or names of readers" ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  [[ $minutes =~ ^[0-9]*\.?[0-9]+$ ]] || die "--minutes $minutes is no number: expected the minutes of each reader"
  ensure_packages "clang++-14" clang-14 libomp-14-dev
  build=$root/build-fuzz
  CC=clang-14 CXX=clang++-14 prepare -Dfuzz=true -Dsanitize=true --buildtype=plain -Doptimization=1 -Dgrouped=enabled \
    -- tests/csreft_fuzz
  unlock
  local programme=$build/tests/csreft_fuzz
  if $list; then
    "$programme"
    return
  fi
  ((${#names[@]} > 0)) || mapfile -t names < <("$programme" | cut -f 1)
  local name passed=0 failed=0
  for name in "${names[@]}"; do
    if fuzz_reader "$programme" "$name" "$minutes"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  done
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
}

# fuzz_reader PROGRAMME NAME MINUTES: a line of what was done; false if there is a finding.
fuzz_reader() {
  local programme=$1 name=$2 seconds corpus=$build/corpus/$2 findings=$build/findings/$2 log status=0 jobs
  seconds=$(awk -v minutes="$3" 'BEGIN { printf "%d", 60 * minutes + 0.5 }')
  mkdir -p "$corpus" "$findings"
  log=$(mktemp -d)
  jobs=$(nproc)
  export CSREFT_FUZZ_TARGET=$name
  CSREFT_FUZZ_SEEDS=$corpus "$programme" || die "there is no reader $name: expected one that --list names"
  # Files that readers open lie in memory.
  [[ ! -w /dev/shm ]] || export TMPDIR=/dev/shm
  export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512 OMP_NUM_THREADS=1
  (cd "$log" && "$programme" "$corpus" -max_total_time="$seconds" -jobs="$jobs" -workers="$jobs" -timeout=10 \
    -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="$findings/" -print_final_stats=1 >/dev/null 2>&1) || status=$?
  local runs found
  runs=$(cat "$log"/fuzz-*.log | awk '/stat::number_of_executed_units/ { n += $2 } END { print n + 0 }')
  found=$(find "$findings" -type f | wc -l)
  printf '%-16s %12d runs in %d s, %d inputs kept, %d findings\n' "$name" "$runs" "$seconds" \
    "$(find "$corpus" -type f | wc -l)" "$found"
  if ((status != 0 || found > 0)); then
    grep -ahE 'ERROR|SUMMARY|what\(\)|error:' "$log"/fuzz-*.log | head -n 20
    rm -rf "$log"
    return 1
  fi
  rm -rf "$log"
}
