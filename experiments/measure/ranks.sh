#!/usr/bin/env bash
# The cost of a training step against the number of ranks.
#
# experiments/measure/ranks.sh measure MODEL DATA OUT.tsv   training steps here, on 1 and 2 ranks of one thread each
# experiments/measure/ranks.sh model OUT.tsv                what the network costs on 8 to 1,024 ranks, by a model on paper
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# median_seconds METRICS: of a run's steps, the first left out.
median_seconds() {
  sed 1d "$1" | sed 's/.*"seconds":\([0-9.e+-]*\).*/\1/' | sort -g | awk '{ s[NR] = $1 } END { print s[int((NR + 1) / 2)] }'
}

# The largest of what a rank has had in memory, as /proc counts it while the run lasts; in MiB.
watch_memory() {
  local file=$1 most=0 pid now
  while [[ ! -e $file.done ]]; do
    for pid in $(pgrep -f -- "--out $file"); do
      now=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status" 2>/dev/null) || continue
      ((${now:-0} <= most)) || most=$now
    done
    sleep 0.2
  done
  printf '%s\n' "$most" >"$file.memory"
}

measure() {
  # Containers run as root.
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  local base=$1 data=$2 out=$3 work ranks method seconds parameters
  work=$(mktemp -d)
  printf '# experiments/measure/ranks.sh measure %s %s %s\n' "$base" "$data" "$out" >"$out"
  printf '# %s, %s cores; one thread a rank, batches of 8\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" >>"$out"
  printf 'method\tranks\tparameters\tseconds a step\tlargest memory of a rank, MiB\n' >>"$out"
  for method in csreft lora full; do
    for ranks in 1 2; do
      watch_memory "$work/$method-$ranks" &
      mpirun --oversubscribe --bind-to none -n "$ranks" "${CSREFT_PROGRAM:-$root/run}" train --quiet --no-baseline --threads 1 --method "$method" \
        --model "$base" --train "$data" --batch 8 --steps 6 --max-length 128 --out "$work/$method-$ranks" >"$work/log" 2>&1 || {
        touch "$work/$method-$ranks.done"
        tail -n 5 "$work/log" >&2
        exit 1
      }
      touch "$work/$method-$ranks.done"
      wait
      seconds=$(median_seconds "$work/$method-$ranks/metrics.jsonl")
      parameters=$(sed -n 's/^ *"trainable_parameters": \([0-9]*\).*/\1/p' "$work/$method-$ranks/summary.json")
      printf '%s\t%d\t%d\t%.3f\t%d\n' "$method" "$ranks" "$parameters" "$seconds" "$(<"$work/$method-$ranks.memory")" >>"$out"
    done
  done
  rm -rf "$work"
}

# A step's messages, by Rabenseifner's algorithms: a sum of its numbers; a sum of the gradients, of whose bytes each rank
# sends 2 (N - 1) / N times as many; and the values from their owners, (N - 1) / N times where they are gathered, and
# twice that where a tensor has a broadcast of its own, as almost all of full fine-tuning have. In latencies, log2 N
# times: three barriers, the small sum, the large one twice, the values; not counted, a broadcast's of each large tensor.
# Gradients and values are f32. A GPU's pass through the host: four copies.
model() {
  local out=$1
  {
    printf '# experiments/measure/ranks.sh model %s\n' "$out"
    printf '# Llama-2-7B. ethernet: 1.25 GB/s, 30 us; infiniband: 25 GB/s, 2 us; gpu: copies to and from the host at 25 GB/s.\n'
    printf '# The share is that of the messages in a step whose own work takes each rank 1 s.\n'
    printf 'method\tparameters\tbytes of gradients\tnetwork\tranks\tseconds of messages\tof them copies of a gpu\tshare, %%\n'
    awk 'BEGIN {
      d = 4096; layers = 32
      split("csreft-paper-budget lora-r16-qv full", names, " ")
      count["csreft-paper-budget"] = 524352 + 131236      # the preset: k = 4, r = 4, four layers, and its router
      count["lora-r16-qv"] = layers * 2 * (2 * 16 * d)
      count["full"] = 6738415616
      split("ethernet infiniband", networks, " ")
      rate["ethernet"] = 1.25e9; latency["ethernet"] = 30e-6
      rate["infiniband"] = 25e9; latency["infiniband"] = 2e-6
      for (m = 1; m <= 3; ++m) for (w = 1; w <= 2; ++w) for (n = 8; n <= 1024; n *= 2) {
        name = names[m]; network = networks[w]; bytes = 4 * count[name]
        rounds = log(n) / log(2)
        sent = (name == "full" ? 4 : 3) * (n - 1) / n * bytes / rate[network]
        copies = 4 * bytes / 25e9
        seconds = sent + 7 * rounds * latency[network] + copies
        printf "%s\t%.0f\t%.0f\t%s\t%d\t%.5f\t%.5f\t%.1f\n", name, count[name], bytes, network, n, seconds, copies, 100 * seconds / (1 + seconds)
      }
    }'
  } >"$out"
}

case ${1:-} in
  measure) measure "${@:2}" ;;
  model) model "${@:2}" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
esac
