# The bundle: one folder that runs on other machines.

help_bundle() {
  cat <<'END'
./run bundle DIR
./run bundle --native DIR
./run bundle --check DIR [doctest's flags]

Makes the new folder DIR, which runs on other x86-64 machines with glibc 2.36 or newer, without installation or
network: DIR/csreft NAME [flags], and DIR/csreft test. It has the CUDA backend if build-cuda/ exists (./run build
--cuda), but not cuBLAS, no MPI (it trains in one process), and no model.

  --native   for processors like this one alone: takes what build/ has, instead of building for all in build-bundle/
  --check    runs the tests of the bundle DIR in an empty root that holds it, glibc and a shell, without a network; as
             root, or where users may make namespaces
END
}

# The libraries of the files given, as paths. shared_libraries glibc FILES: glibc's; others FILES: all others.
shared_libraries() {
  local which=$1 name path kind
  ldd "${@:2}" | sed -n -e 's/^\t\([^ ]*\) => \(\/.*\) (0x.*$/\1 \2/p' -e 's/^\t\(\/.*\/\(ld-linux[^ ]*\)\) (0x.*$/\2 \1/p' |
    sort -u | while read -r name path; do
    case $name in
      ld-linux* | libc.so.* | libm.so.* | libmvec.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libutil.so.* | libresolv.so.* | libanl.so.*) kind=glibc ;;
      *) kind=others ;;
    esac
    [[ $kind != "$which" ]] || printf '%s\n' "$path"
  done
}

# Builds what a bundle holds: for any x86-64 processor, with CUDA if this checkout has been built with it.
build_for_bundle() {
  local options capabilities files
  options=(-Dnative=false -Dmpi=disabled)
  if [[ -f $root/build-cuda/build.ninja ]]; then
    provide_nvcc
    capabilities=$(compute_capabilities --cuda-all)
    options+=(-Dcuda=enabled "$capabilities")
  else
    say "no CUDA in the bundle: ./run build --cuda before it would put it in"
    options+=(-Dcuda=disabled)
  fi
  build=$root/build-bundle
  mapfile -t files < <(bundled_files)
  prepare "${options[@]}" -- "${files[@]}"
}

# What of a build a bundle holds. Without CUDA the programmes share a library.
bundled_files() {
  if [[ $build == "$root/build-bundle" && -f $root/build-cuda/build.ninja ]]; then
    printf '%s\n' experiments/csreft tests/csreft_tests
  else
    printf '%s\n' experiments/csreft_with_rooms tests/csreft_tests_with_rooms experiments/libcsreft_rooms.so
  fi
}

# Copies the shared libraries that $build's programmes need, and their licences, which ask to go along.
copy_libraries() {
  local folder=$1 library package
  while IFS= read -r library; do
    [[ ! -e $folder/lib/${library##*/} ]] || continue # of the build, and there already
    cp -L "$library" "$folder/lib/"
    package=$(dpkg-query -S "*/${library##*/}" 2>/dev/null | sed -n '1s/[:,].*//p') || package=
    if [[ -f /usr/share/doc/$package/copyright ]]; then
      cp -L "/usr/share/doc/$package/copyright" "$folder/licences/$package"
    fi
  done < <(shared_libraries others "$folder"/bin/*)
}

bundle() {
  local native=no folder file name files
  case ${1:-} in
    --check)
      (($# >= 2)) || die "expected ./run bundle --check DIR"
      check_bundle "${@:2}"
      return
      ;;
    --native)
      native=yes
      shift
      ;;
  esac
  (($# == 1)) && [[ $1 != -* ]] || die "expected ./run bundle [--native] DIR, or --check DIR"
  folder=$1
  [[ ! -e $folder || (-d $folder && -z $(ls -A "$folder")) ]] || die "$folder is there already; expected a new or empty folder for the bundle"
  [[ $(uname -m) == x86_64 ]] || die "this machine is $(uname -m); expected x86_64, which the bundle is for"
  if [[ $native == yes ]]; then
    mapfile -t files < <(bundled_files)
    prepare -- "${files[@]}"
  else
    build_for_bundle
  fi

  mkdir -p "$(dirname "$folder")"
  make_temporary "$(dirname "$folder")" bundle "the bundle $folder"
  mkdir -p "$temporary"/{bin,lib,licences} "$temporary"/source/{autograd/functions,core/{device,ops},tests}
  mapfile -t files < <(bundled_files)
  for file in "${files[@]}"; do
    name=${file##*/}
    case $name in
      *.so) strip -o "$temporary/lib/$name" "$build/$file" ;;
      *) strip -o "$temporary/bin/${name%_with_rooms}" "$build/$file" ;;
    esac
  done
  copy_libraries "$temporary"
  # What the tests read.
  for file in autograd/functions/functions.h core/ops/ops.h core/device/primitives.inc core/cpu core/cuda tests/golden \
    tests/golden_texts; do
    cp -r "$root/$file" "$temporary/source/$file"
  done
  cp "$root/LICENSE" "$temporary/licences/csreft"
  install -m 755 "$root/experiments/setup/bundle_start.sh" "$temporary/csreft"
  chmod 755 "$temporary"
  # mv alone would put it into a folder that is there.
  [[ ! -d $folder ]] || rmdir "$folder"
  mv "$temporary" "$folder"
  trap - EXIT
  say "bundle of $(du -sm "$folder" | cut -f 1) MB in $folder: $folder/csreft NAME [flags], or test"
}

# check_bundle DIR [doctest's flags]: its tests where there is nothing but it, glibc and two programmes that the tests start.
check_bundle() {
  local folder=$1 file namespaces=(unshare --mount --net --pid --fork)
  [[ -x $folder/csreft && -x $folder/bin/csreft_tests ]] || die "$folder is not a bundle; expected a folder that ./run bundle has made"
  ((EUID == 0)) || namespaces+=(--map-root-user)
  "${namespaces[@]}" true 2>/dev/null || die "no namespaces for an empty root on this machine; expected root, or a user who may make them"
  temporary=$(mktemp -d)
  trap remove_temporary EXIT
  mkdir -p "$temporary"/{bin,dev,proc,tmp}
  cp -rL "$folder" "$temporary/bundle"
  while IFS= read -r file; do
    mkdir -p "$temporary$(dirname "$file")"
    cp -L "$file" "$temporary$file"
  done < <(
    shared_libraries glibc "$folder/bin/csreft" "$folder/bin/csreft_tests" /bin/sh /bin/sleep
  )
  cp -L /bin/sh /bin/sleep "$temporary/bin/"
  # The mounts end with the namespace.
  # shellcheck disable=SC2016  # for the shell inside
  "${namespaces[@]}" bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 2
    exec env -i PATH=/bin:/usr/bin:/usr/sbin HOME=/ TMPDIR=/tmp chroot "$1" /bundle/csreft test "${@:2}"' \
    bash "$temporary" "${@:2}"
}
