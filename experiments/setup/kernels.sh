# What every CUDA kernel takes of a multiprocessor, by the compiler's own account.

help_kernels() {
  cat <<'END'
./run kernels [sm_80 ...]

Writes to the standard output, in Markdown:
- the registers of a thread, and the bytes of shared memory, stack and spills of every CUDA kernel as nvcc compiles it,
  for the architectures named or for sm_80, sm_90 and sm_100; a kernel that spills is an error, and one with an array in
  local memory. Shared memory that the launch asks for is not in it;
- ./run roofline: an estimate, from two cards' data sheets, of a training step of Llama-2-7B.
END
}

# kernel_lines SOURCE ARCHITECTURES...: a line a kernel and architecture, separated by tabs: file, kernel,
# architecture, registers, shared memory, stack, spills; in an order that does not change from one time to the next.
kernel_lines() {
  local source=$1 architecture options=() flags=() log status=0
  for architecture in "${@:2}"; do
    options+=(-gencode "arch=compute_${architecture#sm_},code=$architecture")
  done
  log=$(mktemp)
  mapfile -t flags <"$root/core/cuda/nvcc_flags.txt"
  "$CUDA_HOME/bin/nvcc" "${flags[@]}" -I"$root" "${options[@]}" -Xptxas -v -fatbin -o /dev/null "$source" \
    >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return "$status"
  fi
  c++filt <"$log" | awk -v file="$(basename "$source")" -v OFS='\t' '
    function number_before(text, words) {
      return match(text, "[0-9]+ " words) ? substr(text, RSTART, RLENGTH) + 0 : 0
    }
    /Compiling entry function/ {
      name = $0; architecture = $0
      sub(/.*entry function ./, "", name); sub(/. for .sm_.*/, "", name)
      sub(/.* for ./, "", architecture); sub(/[^a-z0-9_]+$/, "", architecture)
      gsub(/^void |csreft::|cuda::|\(anonymous namespace\)::/, "", name)
      # A template argument of an enumeration: (Task)0.
      while (match(name, /\([A-Za-z_]+\)[0-9]/)) {
        name = substr(name, 1, RSTART - 1) substr(name, RSTART + 1, RLENGTH - 3) " " substr(name, RSTART + RLENGTH - 1)
      }
      sub(/\(.*/, "", name)
    }
    /bytes stack frame/ {
      stack = number_before($0, "bytes stack frame")
      spills = number_before($0, "bytes spill stores") + number_before($0, "bytes spill loads")
    }
    /Used [0-9]+ registers/ {
      print file, name, architecture, number_before($0, "registers"), number_before($0, "bytes smem"), stack, spills
    }' | LC_ALL=C sort
  rm -f "$log"
}

# Kernels that may have a stack, and of how many bytes: in sine and cosine, large angles are reduced in an array.
stack_of_sine='^(rope_kernel|elements_kernel<Normal)<'
most_stack_of_sine=40

# A row a kernel, with a number for each architecture where they differ.
kernel_table() {
  awk -F'\t' -v architectures="$*" -v sine="$stack_of_sine" -v most_of_sine="$most_stack_of_sine" '
    function cell(column,   text, i, same) {
      same = 1
      for (i = 1; i <= n; ++i) {
        if (value[column, names[i]] != value[column, names[1]]) same = 0
        text = text (i > 1 ? " / " : "") value[column, names[i]]
      }
      return same ? value[column, names[1]] : text
    }
    function row() {
      if (kernel != "") printf "| %s | `%s` | %s | %s | %s | %s |\n", file, kernel, cell(4), cell(5), cell(6), cell(7)
    }
    BEGIN {
      n = split(architectures, names, " ")
      print "| file | kernel | registers | shared | stack | spills |\n|---|---|---|---|---|---|"
    }
    {
      if ($1 != file || $2 != kernel) { row(); ++kernels; file = $1; kernel = $2 }
      for (i = 4; i <= 7; ++i) value[i, $3] = $i
      if ($7 > 0) ++spilling
      if ($6 > ($2 ~ sine ? most_of_sine : 0)) {
        ++stacked
        printf "%s: %s has a stack of %d bytes on %s\n", $1, $2, $6, $3 >"/dev/stderr"
      }
    }
    END {
      row()
      if (kernels == 0) { print "no kernels were found" >"/dev/stderr"; exit 1 }
      printf "\n%d kernels; %s; %s.\n\n", kernels, (spilling ? spilling " spill" : "none spills"),
        (stacked ? stacked " have arrays in local memory" : "none has an array in local memory, but for sine and cosine")
      exit (spilling || stacked ? 1 : 0)
    }'
}

kernels() {
  local architectures=("$@") architecture folder source status=0
  ((${#architectures[@]} > 0)) || architectures=(sm_80 sm_90 sm_100)
  for architecture in "${architectures[@]}"; do
    [[ $architecture =~ ^sm_[0-9]+$ ]] || die "'$architecture' is no architecture; expected names such as sm_90"
  done
  provide_nvcc
  prepare -- experiments/csreft
  folder=$(mktemp -d)
  temporary=$folder
  trap remove_temporary EXIT
  say "compiling the kernels for ${architectures[*]}"
  for source in "$root"/core/cuda/*.cu; do
    printf '%s\n' "$source"
  done | xargs -P "$(nproc)" -I{} bash -c '
    set -euo pipefail
    source "$1/experiments/setup/kernels.sh"
    root=$1; kernel_lines "$3" "${@:4}" >"$2/$(basename "$3").tsv"' \
    - "$root" "$folder" {} "${architectures[@]}" || die "nvcc cannot compile the kernels for ${architectures[*]}"
  cat <<END
# CUDA kernels

\`./run kernels${*:+ $*}\`, nvcc $("$CUDA_HOME/bin/nvcc" --version | sed -n 's/.*release .*, V\(.*\)/\1/p').

Registers of a thread; bytes of shared memory of a block, without what a launch asks for; bytes of stack and of spills of
a thread. Where architectures differ: ${architectures[*]}.

END
  cat "$folder"/*.tsv | kernel_table "${architectures[@]}" || status=$?
  "$build/experiments/csreft" roofline
  ((status == 0)) || die "a kernel spills, or has an array in local memory; expected none"
}
