# Starting an experiment: at once where its programme is built, after a build where it is not.

# What experiments run is a copy of the built programme: a linker writes into its file, which is not whole for a while.
# Beside it lies an empty file, `since`, of the time at which the build of the copy began.
ready_program() { printf '%s\n' "$build/ready/csreft"; }

# keep_program BEGAN: after a build that began when the file BEGAN was made.
keep_program() {
  local built=$build/experiments/csreft ready
  ready=$(ready_program)
  mkdir -p "$build/ready"
  if [[ $built -nt $ready || $built -ot $ready ]]; then
    cp -p "$built" "$ready.new"
    mv -f "$ready.new" "$ready"
  fi
  mv -f "$1" "$build/ready/since"
}

# Whether a programme for this machine is there.
is_built() {
  [[ -x $(ready_program) && -f $build/ready/since && -f $build/.machine && $(<"$build/.machine") == "$(machine)" ]]
}

# newer_sources TESTS...: the sources that have changed since the programme was built, of which find's TESTS hold; a
# folder changes with its list of files.
newer_sources() {
  find "$root"/{core,autograd,models,reft,experiments,meson.build,meson_options.txt} -newer "$build/ready/since" "$@"
}

# Whether what else a build depends on has changed: its options, the commit that the programme names, packages.
is_overtaken() {
  local git=$root/.git file
  if [[ -f $git ]]; then # of a work tree: where its own files are
    read -r _ git <"$git"
    [[ $git == /* ]] || git=$root/$git
  fi
  for file in "$build/meson-private/coredata.dat" "$git/logs/HEAD" /var/lib/dpkg/status; do
    if [[ $file -nt $build/ready/since ]]; then return; fi
  done
  return 1
}

is_current() {
  is_built && ! is_overtaken && [[ ! $build/experiments/csreft -nt $(ready_program) && -z $(newer_sources -print -quit) ]]
}

# Threads that wait for each other spin for a moment, then sleep: on a machine with other work, spinning without end would
# slow them down many times.
limit_spinning() { export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}; }

# The rank of this start among those that a launcher (mpirun, srun) made at once; nothing if it made one.
launched_rank() {
  if ((${OMPI_COMM_WORLD_SIZE:-1} > 1)); then
    printf '%s\n' "$OMPI_COMM_WORLD_RANK"
  elif ((${PMI_SIZE:-1} > 1)); then
    printf '%s\n' "$PMI_RANK"
  elif [[ -n ${PMIX_RANK:-} ]] && ((${SLURM_NTASKS:-1} > 1)); then
    printf '%s\n' "$PMIX_RANK"
  fi
}

# start_launched RANK NAME [flags]: one of several starts at once. None of them builds or fetches; what one process would
# say once, the first says.
start_launched() {
  local rank=$1 error=
  shift
  if on_cuda "$@"; then
    build=$root/build-cuda
    find_nvcc || error="there is no CUDA toolkit on $(uname -n); expected CUDA_HOME, or one start without mpirun or srun before, which fetches it"
  fi
  if lacks_model "$@"; then error="the default model is not at $CSREFT_SMOLLM2; expected one start without mpirun or srun before, which fetches it"; fi
  is_built || error="there is no programme for this machine; expected ./run build --mpi before mpirun or srun"
  if [[ -n $error ]]; then
    # A launcher ends all starts when one fails. What is wrong on all, the first says, which does not wait.
    ((rank == 0)) || sleep 2
    die "rank $rank: $error"
  fi
  if ((rank == 0)) && ! is_current; then
    say "note: the programme of $(date -r "$build/ready/since" '+%F %T') is older than its sources; ./run build makes it anew"
  fi
  limit_spinning
  CSREFT_COMMANDS=$commands exec "$(ready_program)" "$@"
}

# refusal NAME [flags]: the error that the programme finds in the flags, or the files that they name, before any work.
# False where it finds none.
refusal() {
  local found status=0
  found=$(CSREFT_COMMANDS=$commands CSREFT_CHECK=1 "$(ready_program)" "$@" 2>&1 >/dev/null) || status=$?
  ((status != 0)) && [[ $found == error:* ]] && printf '%s\n' "$found"
}

# may_be_mended ERROR NAME [flags]: whether sources that are newer than the programme may know a word that it refuses:
# one that its error names before the colon, in quotation marks if there are any, and that one of them has.
may_be_mended() {
  local what=${1#error: } word sources
  what=${what%%: *}
  if [[ $what == *\'*\'* ]]; then
    what=${what#*\'}
    what=${what%%\'*}
  fi
  mapfile -t sources < <(newer_sources -type f)
  for word in "${@:2}"; do
    word=${word#--}
    word=${word%%=*}
    [[ -n $word && $what == *"$word"* ]] || continue
    if grep -qsF -e "$word" -e "${word//-/_}" -- "${sources[@]}" /dev/null; then return; fi
  done
  return 1
}

# use_ready NAME [flags]: whether the programme that is there serves: it is up to date, or another start is building.
# Ends with the error for a command that it refuses, unless newer sources may not.
use_ready() {
  local error
  if is_current; then return; fi
  is_built || return
  if error=$(refusal "$@"); then
    if may_be_mended "$error" "$@"; then return 1; fi
    say "$error"
    exit 2
  fi
  if try_lock; then return 1; fi
  say "note: another ./run is building: this start runs the programme of $(date -r "$build/ready/since" '+%F %T'), older than its sources"
}
