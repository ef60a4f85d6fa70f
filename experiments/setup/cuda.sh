# CUDA: the compiler, the kinds of GPUs, the build.

# What stands in for NVIDIA's installer: the compiler, its headers, cuBLAS. Everything lands in nvidia/cu13.
cuda_wheels=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.1.0.3)
cuda_wheels_driver=580 # the oldest driver that serves CUDA 13

# The version of an nvcc, as 1304 for 13.4; 0 where there is none.
nvcc_version() {
  local text
  text=$("$1" --version 2>/dev/null) || text=
  if [[ $text =~ release\ ([0-9]+)\.([0-9]+) ]]; then
    printf '%d\n' $((BASH_REMATCH[1] * 100 + BASH_REMATCH[2]))
  else
    printf '0\n'
  fi
}

# Where a toolkit that is fetched lies.
cuda_wheels() { printf '%s/cuda-13.0/nvidia/cu13\n' "$(cache_folder)"; }

# Sets CUDA_HOME to a toolkit whose nvcc is 12.4 or newer. False if this machine has none.
find_nvcc() {
  local candidate version wheels
  wheels=$(cuda_wheels)
  for candidate in ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc "$wheels/bin/nvcc"; do
    [[ -n $candidate && -x $candidate ]] || continue
    version=$(nvcc_version "$candidate")
    if ((version >= 1204)); then
      candidate=$(realpath "$candidate")
      export CUDA_HOME=${candidate%/bin/nvcc}
      return
    fi
    say "$candidate is not CUDA 12.4 or newer: looking further"
  done
  return 1
}

# The same; if this machine has none, one is fetched.
provide_nvcc() {
  local wheels
  if find_nvcc; then return; fi
  wheels=$(cuda_wheels)
  fetch_nvcc "${wheels%/nvidia/cu13}"
  export CUDA_HOME=$wheels
}

fetch_nvcc() {
  local folder=$1 driver quiet=(-q) log
  lock
  if (($(nvcc_version "$folder/nvidia/cu13/bin/nvcc") >= 1204)); then return; fi # another start has fetched it
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1) || driver=
  [[ ! $driver =~ ^([0-9]+)\. ]] || ((BASH_REMATCH[1] >= cuda_wheels_driver)) ||
    die "driver $driver does not serve the compiler that would be fetched, CUDA 13.0; expected driver $cuda_wheels_driver or newer, or nvcc 12.4 or newer on PATH or in CUDA_HOME"
  python3 -m pip --version >/dev/null 2>&1 || ensure_packages "python3 pip" "${wheel_packages[@]}"
  mkdir -p "${folder%/*}" 2>/dev/null || die "cannot write to ${folder%/*}; expected a folder for the CUDA compiler"
  say "no nvcc 12.4 or newer: fetching NVIDIA's compiler and cuBLAS from the Python package index into $folder (841 MB):"
  say "  ${cuda_wheels[*]}"
  temporary=$(mktemp -d "${folder%/*}/fetch.XXXXXX")
  trap remove_temporary EXIT
  log=$temporary/log
  [[ ! -t 2 ]] || quiet=()
  if [[ -t 2 ]]; then log=/dev/stderr; fi
  # pip unpacks through TMPDIR, which may be small: next to where the files go.
  mkdir "$temporary/unpack" "$temporary/cuda"
  TMPDIR=$temporary/unpack python3 -m pip install "${quiet[@]}" --disable-pip-version-check --no-cache-dir --no-deps \
    --only-binary :all: --no-compile --retries 2 --timeout 60 --target "$temporary/cuda" "${cuda_wheels[@]}" \
    >"$log" 2>&1 </dev/null || {
    [[ $log == /dev/stderr ]] || tail -n 5 "$log" >&2
    die "cannot fetch the CUDA compiler into $folder; expected a network that reaches the Python package index, and 2 GB of room; or nvcc 12.4 or newer on PATH or in CUDA_HOME"
  }
  (($(nvcc_version "$temporary/cuda/nvidia/cu13/bin/nvcc") >= 1204)) ||
    die "the fetched nvcc does not run on this machine; expected x86-64 Linux with glibc"
  chmod 755 "$temporary/cuda"
  rm -rf "$folder"
  mv "$temporary/cuda" "$folder"
  rm -rf "$temporary"
  trap - EXIT
}

# Of what nvidia-smi shows: compute capabilities, as 90 for 9.0.
device_capabilities() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. ' | grep -x '[0-9]*' | sort -nu || true
}

# compute_capabilities --cuda|--cuda-all: the meson option. For a GPU that this nvcc does not know, the PTX of the newest
# that it knows and that is older serves.
compute_capabilities() {
  local known wanted best candidate devices=() chosen=()
  if [[ $1 == --cuda ]]; then mapfile -t devices < <(device_capabilities); fi
  ((${#devices[@]} > 0)) || devices=(80 90 100)
  known=$("$CUDA_HOME/bin/nvcc" --list-gpu-code | sed -n 's/^sm_\([0-9]*\)$/\1/p' | sort -n)
  for wanted in "${devices[@]}"; do
    ((wanted >= 80)) || die "a GPU here has compute capability sm_$wanted; expected sm_80 (Ampere) or newer"
    for candidate in $known; do
      if ((candidate <= wanted)); then best=$candidate; fi
    done
    [[ $best == "$wanted" ]] || say "this nvcc does not know sm_$wanted: compiling for sm_$best and as PTX"
    chosen+=("$best")
  done
  mapfile -t chosen < <(printf '%s\n' "${chosen[@]}" | sort -nu)
  (IFS=, && printf -- '-Dcompute_capabilities=%s\n' "${chosen[*]}")
}

# Whether the command line NAME [flags] computes on a CUDA device.
on_cuda() {
  local argument previous='' found=no
  [[ ${1:-} != gpu-check ]] || found=yes
  for argument in "${@:2}"; do
    case $argument in
      -h | --help) return 1 ;;
    esac
    # A run that is continued names its own device.
    case "$previous $argument" in
      '--device cuda' | '--device cuda:'[0-9]* | *' --device=cuda' | *' --device=cuda:'[0-9]*) found=yes ;;
      '--device '* | *' --device='*) found=no ;;
      '--resume '* | *' --resume='*)
        ! grep -qsE '"(--device=)?cuda(:[0-9]+)?"' "${argument#--resume=}/config.json" || found=yes
        ;;
    esac
    previous=$argument
  done
  [[ $found == yes ]]
}

has_driver() {
  local folder folders
  [[ $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null) != *libcuda.so.1* ]] || return 0
  IFS=: read -ra folders <<<"${LD_LIBRARY_PATH:-}"
  for folder in /usr/lib/wsl/lib /usr/lib64 /usr/lib/x86_64-linux-gnu "${folders[@]}"; do
    if [[ -n $folder && -e $folder/libcuda.so.1 ]]; then return 0; fi
  done
  return 1
}

# Before anything is fetched or built for a device that is not there.
require_device() {
  has_driver || die "no CUDA driver on this machine; expected NVIDIA's driver (nvidia-smi shows it), or --device cpu"
  if command -v nvidia-smi >/dev/null && ! nvidia-smi -L >/dev/null 2>&1; then
    die "NVIDIA's driver finds no GPU on this machine; expected one that nvidia-smi -L lists, or --device cpu"
  fi
}

# serves CAPABILITY BUILT...: whether code for the capabilities BUILT, rising, and PTX of the last runs on a GPU of
# CAPABILITY: code of its own major version that is not newer, or PTX that is not.
serves() {
  local wanted=$1 built
  for built in "${@:2}"; do
    if ((built / 10 == wanted / 10 && built <= wanted)); then return; fi
  done
  ((built <= wanted))
}

# What the build folder is configured for: its compute capabilities, rising.
configured_capabilities() {
  grep -o 'code=sm_[0-9]*' "$build/build.ninja" | sed 's/.*_//' | sort -nu
}

# Whether what the build folder makes runs on every GPU of this machine.
serves_this_machine() {
  local device built
  mapfile -t built < <(configured_capabilities)
  while IFS= read -r device; do
    serves "$device" "${built[@]}" || return
  done < <(device_capabilities)
}

# prepare_cuda OPTIONS -- TARGETS: in a folder of its own. Without options, for the GPUs of this machine when it is new,
# or when it was made for others: a folder may lie where several machines see it.
prepare_cuda() {
  local capabilities
  build=$root/build-cuda
  provide_nvcc
  if [[ $1 == -- ]] && { [[ ! -f $build/build.ninja ]] || ! serves_this_machine; }; then
    capabilities=$(compute_capabilities --cuda)
    [[ ! -f $build/build.ninja ]] || say "the build folder was made for other GPUs: building for those of this machine"
    set -- -Dcuda=enabled "$capabilities" "$@"
  fi
  prepare "$@"
}

# build_cuda --cuda|--cuda-all OPTIONS...
build_cuda() {
  local capabilities
  provide_nvcc
  capabilities=$(compute_capabilities "$1")
  prepare_cuda -Dcuda=enabled "$capabilities" "${@:2}" -- all
}
