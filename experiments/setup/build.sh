# A build folder for this machine, and what is built in it.

help_build() {
  cat <<'END'
./run build [--mpi] [-DOPTION=VALUE ...]
./run build --cuda [--mpi] [-DOPTION=VALUE ...]
./run build --cuda-all [--mpi] [-DOPTION=VALUE ...]

Builds everything in build/, from which every ./run NAME starts; options go to meson (-Dnative=false for other
processors, -Dsanitize=true, -Dwerror=true, --buildtype=debug, ...) and stay with the folder until other values are given
or it is removed. With --cuda in build-cuda/, for the GPUs that nvidia-smi shows, or where there are none as --cuda-all
does: for compute capabilities 8.0, 9.0 and 10.0, and as PTX for what follows.

Where there is no ccache, sources are compiled in groups, which takes half the time of a first build. -Dgrouped=disabled
compiles each by itself, so that one that is edited takes less.

--mpi installs Open MPI where it is missing, and builds with it, for mpirun -n N ./run train. Without --mpi a new folder is
built with MPI if Open MPI or MPICH is there.

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

# compile TARGETS..., of which the experiments' programme is one.
compile() {
  local log=$build/run.log began=$build/.began
  : >"$began"
  fetch_beside
  # First what meson makes anew, where a meson.build or an option has changed: the build and its forecast both would.
  if ninja -C "$build" build.ninja >"$log" 2>&1 </dev/null &&
    NINJA_STATUS='[%f/%t] ' ninja -C "$build" -j "$(nproc)" "$@" 2>&1 </dev/null |
    show_progress "$build" "$@" 7>"$log"; then
    keep_program "$began"
    wait_for_fetch
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
  lock
  if [[ ! -f $build/.packages || $(<"$build/.packages") != "${build_packages[*]}" ]]; then
    ensure_packages "c++ meson ninja pkg-config" "${build_packages[@]}"
  fi
  configure "${options[@]}"
  printf '%s\n' "${build_packages[*]}" >"$build/.packages"
  compile "$@"
}

build_all() {
  local words=() word
  for word in "$@"; do
    if [[ $word == --mpi ]]; then
      ensure_packages mpirun "${mpi_packages[@]}"
      words+=(-Dmpi=enabled)
    else
      words+=("$word")
    fi
  done
  set -- "${words[@]}"
  case ${1:-} in
    --cuda | --cuda-all) build_cuda "$@" ;;
    *) prepare "$@" -- all ;;
  esac
}
