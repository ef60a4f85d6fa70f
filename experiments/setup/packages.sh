# Debian packages and Python wheels that a machine lacks.

build_packages=(g++ meson ninja-build pkg-config libdnnl-dev libeigen3-dev libfmt-dev doctest-dev libsentencepiece-dev
  nlohmann-json3-dev libcli11-dev libpcre2-dev libutf8proc-dev zlib1g-dev gnuplot-nox wordnet-base)
emulation_packages=(libboost-context-dev)
mpi_packages=(libopenmpi-dev openmpi-bin)
wheel_packages=(python3 python3-pip ca-certificates)

# Prints the packages among its arguments that are not installed.
missing_packages() {
  local installed package
  # shellcheck disable=SC2016  # dpkg-query, not the shell, fills in the fields
  installed=$(dpkg-query -W -f '${db:Status-Status}:${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    if [[ $package == gnuplot-nox ]] && command -v gnuplot >/dev/null; then continue; fi
    [[ $'\n'$installed$'\n' == *$'\ninstalled:'"$package"$'\n'* ]] || printf '%s\n' "$package"
  done
}

install_packages() {
  local packages=("$@") as_root=() log
  if ((EUID != 0)); then
    if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      die "missing packages, and neither root nor sudo to install them; expected: apt-get install -y --no-install-recommends ${packages[*]}"
    fi
  fi
  log=$(mktemp)
  apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
  say "installing packages: ${packages[*]}"
  # The lists of a new machine are empty or old: fetch them when a first try fails.
  apt_get install -y --no-install-recommends "${packages[@]}" </dev/null || {
    apt_get update </dev/null || fail_with_log "$log" "apt-get update failed; expected a network"
    apt_get install -y --no-install-recommends "${packages[@]}" </dev/null || fail_with_log "$log" "apt-get install failed"
  }
  rm -f "$log"
}

# ensure_packages TOOLS PACKAGES...: TOOLS, separated by spaces, must exist where packages cannot be asked for.
ensure_packages() {
  local tools=$1 missing tool
  shift
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    for tool in $tools; do
      command -v "$tool" >/dev/null ||
        die "no $tool, and no apt-get to install it; expected what Debian 12 calls: $*"
    done
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
}
