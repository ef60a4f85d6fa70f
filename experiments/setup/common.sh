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

# One start at a time installs, fetches and builds in this checkout: it holds a lock, on descriptor 9, until unlock.
has_lock=no

# Whether the lock is now held here.
try_lock() {
  [[ $has_lock == no ]] || return 0
  exec 9<"$root/run"
  if flock -n 9; then
    has_lock=yes
  else
    exec 9<&-
    return 1
  fi
}

lock() {
  if try_lock; then return; fi
  say "waiting for another ./run to finish building"
  exec 9<"$root/run"
  flock 9
  has_lock=yes
}

unlock() {
  exec 9<&-
  has_lock=no
}
