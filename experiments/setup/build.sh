# A build folder for this machine, and what is built in it.

help_build() {
  cat <<'END'
./run build [-DOPTION=VALUE ...]
./run build --cuda [-DOPTION=VALUE ...]
./run build --cuda-all [-DOPTION=VALUE ...]

Builds everything in build/, from which every ./run NAME starts; options go to meson (-Dnative=false for other
processors, -Dsanitize=true, -Dwerror=true, --buildtype=debug, ...) and stay with the folder until other values are given
or it is removed. With --cuda in build-cuda/, for the GPUs that nvidia-smi shows, or where there are none as --cuda-all
does: for compute capabilities 8.0, 9.0 and 10.0, and as PTX for what follows.

CUDA takes the nvcc of CUDA_HOME or PATH if it is 12.4 or newer. Otherwise it fetches the compiler and cuBLAS into
${XDG_CACHE_HOME:-$HOME/.cache}/csreft, once: 841 MB.
END
}

# What compiled code depends on: the processor's name and abilities, and the compiler.
machine() {
  local line
  while IFS= read -r line && [[ -n $line ]]; do
    case $line in
      vendor_id* | 'cpu family'* | model* | flags* | Features* | 'CPU '*) printf '%s\n' "$line" ;;
    esac
  done </proc/cpuinfo
  "${CXX:-c++}" --version 2>/dev/null | { read -r line && printf '%s\n' "$line"; } || true
}

# configure OPTIONS...: a build folder for this machine.
configure() {
  local stamp=$build/.machine here log
  here=$(machine)
  if [[ -f $build/build.ninja && -f $build/meson-private/coredata.dat ]]; then
    # A folder without a stamp is one that somebody set up by hand, just now: its options are respected.
    [[ -f $stamp ]] || printf '%s\n' "$here" >"$stamp"
    if [[ $(<"$stamp") == "$here" ]]; then
      (($# == 0)) || meson configure "$build" "$@" >/dev/null 2>&1 ||
        die "meson does not take the options: $*; expected --cuda, --cuda-all, or options of meson"
      return
    fi
    say "the build folder was made for another processor or compiler: building anew"
  elif [[ -e $build ]]; then
    say "the build folder is incomplete: building anew"
    rm -rf "$build"
  fi
  log=$(mktemp)
  say "configuring"
  # --wipe keeps the options of the folder that it replaces.
  { [[ -e $build ]] && meson setup --wipe "$build" "$root" "$@" >"$log" 2>&1; } || {
    rm -rf "$build"
    meson setup "$build" "$root" --buildtype=release "$@" >"$log" 2>&1 || {
      rm -rf "$build"
      fail_with_log "$log" "the build cannot be configured"
    }
  }
  rm -f "$log"
  printf '%s\n' "$here" >"$stamp"
}

# Copies ninja's output to descriptor 7, and says how far it is: on a terminal in one line that is written anew,
# elsewhere in a line every ten seconds. Says nothing when there is nothing to do.
show_progress() {
  local part line='' progress='' said=-10 status
  while true; do
    status=0
    IFS= read -r -t 10 part || status=$?
    ((status == 0 || status > 128)) || break # the end; above 128: ten seconds without a whole line
    line+=$part
    if ((status == 0)); then
      printf '%s\n' "$line" >&7
      [[ $line != \[*/*\]* ]] || progress=$line
      line=
    fi
    if [[ -z $progress ]]; then
      continue
    elif [[ -t 2 ]]; then
      printf '\r\033[Kbuilding %s' "${progress:0:70}" >&2
    elif ((SECONDS - said >= 10)); then
      say "building ${progress%%]*}]"
      said=$SECONDS
    fi
  done
  [[ -z $progress || ! -t 2 ]] || printf '\r\033[K' >&2
}

# compile TARGETS...
compile() {
  local log=$build/run.log
  if NINJA_STATUS='[%f/%t] ' ninja -C "$build" -j "$(nproc)" "$@" 2>&1 </dev/null | show_progress 7>"$log"; then
    return
  fi
  rm -f "$build/.packages" # a package may have gone: look again next time
  fail_with_log "$log" "the build failed"
}

# prepare OPTIONS -- TARGETS: packages, a configured folder, and the targets built.
prepare() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  if [[ ! -f $build/.packages || $(<"$build/.packages") != "${build_packages[*]}" ]]; then
    ensure_packages "c++ meson ninja pkg-config" "${build_packages[@]}"
  fi
  configure "${options[@]}"
  printf '%s\n' "${build_packages[*]}" >"$build/.packages"
  compile "$@"
}

build_all() {
  case ${1:-} in
    --cuda | --cuda-all) build_cuda "$@" ;;
    *) prepare "$@" -- all ;;
  esac
}
