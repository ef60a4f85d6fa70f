# What every part of ./run uses.

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 2
}

# fail_with_log LOG WHAT...
fail_with_log() {
  local log=$1
  shift
  tail -n 40 "$log" >&2
  die "$* (whole log: $log)"
}

# A folder or file under way, gone at exit. Not local: a failing command leaves its function before the trap runs.
temporary=
remove_temporary() { [[ -z $temporary ]] || rm -rf "$temporary"; }

cache_folder() { printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-}/.cache}/csreft"; }
