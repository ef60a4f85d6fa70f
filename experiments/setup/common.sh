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

# Ends a start that was to make WHAT: one that a programme's failure ends, such as a full disk's, says so at last.
end_making() {
  local status=$? what=$1
  remove_temporary
  ((status != 0 && status != 2 && status != 130)) || exit "$status"
  die "cannot make $what; expected a disk that has room for it"
}

# make_temporary PLACE NAME WHAT: $temporary is the new folder PLACE/.csreft-NAME.XXXXXX for what becomes WHAT, locked by
# descriptor 8 while this start or a programme of it lives. Those that killed starts have left are removed.
make_temporary() {
  local place=$1 name=.csreft-$2 what=$3 left
  exec 7<"$place"
  flock 7
  for left in "$place/$name".??????; do
    if [[ -d $left ]] && flock -n "$left" true; then rm -rf "$left"; fi
  done
  # shellcheck disable=SC2064  # WHAT is known now
  trap "end_making $(printf %q "$what")" EXIT
  temporary=$(mktemp -d "$place/$name.XXXXXX")
  exec 8<"$temporary"
  flock 8
  exec 7<&-
}

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
