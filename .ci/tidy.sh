#!/usr/bin/env bash
# tidy.sh SECONDS: clang-tidy with the checks of .clang-tidy, over as many files as SECONDS allow: first those that the
# last ten commits changed, then all others in an order that the commit chooses, so that every file has its turn.
# tidy.sh all: over all files. Reads the compile commands of build and, for the CUDA backend, of build-cuda-90.
# Not among the files: kernels, for clang-tidy does not know how nvcc compiles them; the emulation of CUDA, for clang 14
# has no std::source_location.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=${1:?expected seconds, or all}
[[ $limit == all || $limit =~ ^[1-9][0-9]*$ ]] || {
  printf 'tidy.sh does not take "%s"; expected seconds, or all\n' "$limit"
  exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Sources that a build folder compiles, each with that folder; sources first come with the folder named first.
list_compiled() {
  local folder
  for folder in "$@"; do
    [[ -f $folder/compile_commands.json ]] || continue
    sed -n 's|^ *"file": "\.\./\(.*\)",\{0,1\}$|\1|p' "$folder/compile_commands.json" | sort -u | sed "s|\$| $folder|"
  done | awk '!seen[$1]++'
}

# The same order for the same commit.
by_commit() { shuf --random-source=<(yes "$(git rev-parse HEAD)" | head -c 1000000); }

# Sources that the last ten commits changed; for a header, the source of its name, or else the first that includes it.
list_changed() {
  local file
  git log --max-count=10 --name-only --format= -- '*.cpp' '*.h' | sort -u | while IFS= read -r file; do
    if [[ $file == *.cpp ]]; then
      printf '%s\n' "$file"
    elif [[ -f ${file%.h}.cpp ]]; then
      printf '%s\n' "${file%.h}.cpp"
    else
      git grep -l -F "#include \"$file\"" -- '*.cpp' | sed -n 1p || true
    fi
  done | sort -u
}

list_compiled build build-cuda-90 | sort >"$work/compiled"
git ls-files '*.cpp' | sort | join - "$work/compiled" | by_commit >"$work/files"
[[ -s $work/files ]] || {
  printf 'no compile commands in build; expected ./run build before\n'
  exit 2
}
list_changed >"$work/changed"
# Changed ones first.
awk 'NR == FNR { changed[$1]; next } { print (($1 in changed) ? 0 : 1), $0 }' "$work/changed" "$work/files" |
  sort -s -n -k 1,1 | cut -d ' ' -f 2- >"$work/order"

# g++ is the judge of compiler warnings: clang is asked for none. Clang 14 takes some C++20 for errors (views of libstdc++
# 12, structured bindings in lambdas); its findings in such a file mean nothing, and the file is counted as not read.
check() {
  local folder=$1 source=$2 log status
  ((SECONDS < limit)) || return 0
  log=$work/${source//\//+}
  clang-tidy-14 --quiet -p "$folder" --extra-arg=-w --extra-arg=-Wno-unknown-warning-option "$source" \
    >"$log.out" 2>"$log.err" && status=0 || status=$?
  if ((status == 0)); then
    printf '%s\n' "$source" >>"$work/passed"
  elif grep -q '\[clang-diagnostic-error\]$' "$log.out"; then
    printf '%s\n' "$source" >>"$work/unread"
  else
    printf '%s\n' "$source" >>"$work/failed"
    cat "$log.out"
    # What is wrong with the command line, not with the source.
    [[ -s $log.out ]] || cat "$log.err"
  fi
}
[[ $limit != all ]] || limit=1000000
touch "$work/passed" "$work/failed" "$work/unread"
export work limit
export -f check
# shellcheck disable=SC2016  # for the shell that xargs starts
# SECONDS of a shell that xargs starts begin anew unless they are handed on.
xargs -P "$(nproc)" -L 1 bash -c 'SECONDS=$(($(date +%s) - $1)); check "$3" "$2"' - "$(date +%s)" <"$work/order"
printf 'clang-tidy: %d of %d files checked, %d with findings; %d not read by clang 14\n' \
  "$(cat "$work/passed" "$work/failed" | wc -l)" "$(wc -l <"$work/order")" "$(wc -l <"$work/failed")" \
  "$(wc -l <"$work/unread")"
[[ ! -s $work/failed && -s $work/passed ]]
