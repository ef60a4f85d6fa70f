# How far a build is, and how long it takes yet.

# cost_of OUTPUT: milliseconds that its step takes on one core, where no earlier build has measured it: what steps of its
# kind took on a processor of 2023.
cost_of() {
  case $1 in
    *.gch) printf 4000 ;;
    *-unity*.o) printf 9000 ;;
    *_listed.a.p/*.o) printf 2500 ;;
    core/cuda/*) printf 20000 ;;
    core/*.o) printf 2000 ;;
    autograd/*.o) printf 500 ;;
    models/*.o) printf 4000 ;;
    reft/*.o) printf 5000 ;;
    experiments/*.o) printf 5000 ;;
    tests/*.o) printf 6000 ;;
    *) printf 200 ;;
  esac
}

# minutes MILLISECONDS: as 3:07.
minutes() { printf '%d:%02d' $((($1 + 500) / 60000)) $((($1 + 500) / 1000 % 60)); }

# In microseconds, by a clock that nobody sets.
now() {
  local up
  read -r up _ </proc/uptime
  printf '%s0000\n' "${up/./}"
}

# time_left COST DONE ELAPSED: milliseconds until steps of COST are done, of which those of DONE took ELAPSED; what the
# costs promise for all cores counts as much as a quarter of a minute of that.
time_left() {
  local prior=15000
  printf '%d\n' $((($1 - $2) * ($3 + prior) / ($2 + prior * $(nproc))))
}

# planned_steps FOLDER TARGETS...: the outputs that ninja is going to make.
planned_steps() {
  NINJA_STATUS='[%f/%t] ' ninja -C "$1" -n "${@:2}" 2>/dev/null | step_output
}

# Of lines such as `[3/409] Compiling C++ object core/libcore.a.p/base_hash.cpp.o`: the last word.
step_output() { sed -n 's/^\[[0-9]*\/[0-9]*\] .*[ ]\([^ ]*\)$/\1/p'; }

# progress_text STEPS ALL COST DONE ELAPSED
progress_text() {
  local rate=$(($1 * 10000 / ($5 + 1)))
  printf '%d of %d steps' "$1" "$2"
  (($1 == 0)) || printf ', %d.%d a second' $((rate / 10)) $((rate % 10))
  printf ', about %s left\n' "$(minutes "$(time_left "$3" "$4" "$5")")"
}

# show_progress FOLDER TARGETS...: copies ninja's output to descriptor 7, and says how far it is: on a terminal in one
# line that is written anew, elsewhere in a line every half a minute. Says nothing of a build of less than two seconds.
show_progress() {
  local -A cost=()
  local output milliseconds part line='' status begin elapsed wait=5 every=30000
  local all=0 steps=0 total=0 worked=0 said=-30000
  begin=$(now)
  while read -r output; do
    cost[$output]=$(cost_of "$output")
    all=$((all + 1))
  done < <(planned_steps "$@")
  # What an earlier build has measured: begin, end, time, output, hash.
  if [[ -f $1/.ninja_log ]]; then
    while IFS=$'\t' read -r output milliseconds; do
      if [[ -v cost[$output] ]]; then cost[$output]=$milliseconds; fi
    done < <(awk -F '\t' 'NF == 5 { print $4 "\t" $2 - $1 }' "$1/.ninja_log")
  fi
  for output in "${!cost[@]}"; do total=$((total + cost[$output])); done
  if [[ -t 2 ]]; then
    wait=1
    every=0
  fi
  while true; do
    status=0
    IFS= read -r -t "$wait" part || status=$?
    ((status == 0 || status > 128)) || break # the end; above 128: no whole line in this time
    line+=$part
    if ((status == 0)); then
      printf '%s\n' "$line" >&7
      if [[ $line == \[*/*\]* ]]; then
        output=${line##* }
        steps=$((steps + 1))
        if [[ -v cost[$output] ]]; then worked=$((worked + cost[$output])); fi
      fi
      line=
    fi
    elapsed=$((($(now) - begin) / 1000))
    if ((elapsed < 2000 || elapsed - said < every || steps >= all)); then continue; fi
    said=$elapsed
    if [[ -t 2 ]]; then
      printf '\r\033[Kbuilding: %s' "$(progress_text $steps $all $total $worked "$elapsed")" >&2
    else
      say "building: $(progress_text $steps $all $total $worked "$elapsed")"
    fi
  done
  if ((said < 0)); then return; fi
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
  say "built in $(minutes $((($(now) - begin) / 1000)))"
}
