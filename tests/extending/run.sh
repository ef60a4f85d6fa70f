#!/usr/bin/env bash
# run.sh BUILD_DIR: reft/EXTENDING.md does what it says. Its files and the tables with their names are compiled as
# BUILD_DIR's are, and linked in front of BUILD_DIR's libraries into a second pair of programmes, which train, score and
# test what is new. The last line is `N passed, M failed`.
# shellcheck disable=SC2016,SC2317  # functions are called through check, and xargs starts a shell of its own
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
root=$PWD
build=$(cd "${1:?expected the build folder, such as build}" && pwd) || exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export build GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000} # the latter as ./run does
passed=0
failed=0

# check WHAT COMMAND...: counts one; what the command prints is shown where it fails.
check() {
  if "${@:2}" >"$work/log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1"
    tail -n 20 "$work/log"
  fi
}

finish() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  exit $((failed > 0))
}

# ---- the two programmes ---------------------------------------------------------------------------------------------

# Writes each block of C++ that follows a line `PATH.cpp:` to that path under $work/source.
extract() {
  awk -v source="$work/source" '
    /^[a-z_\/]+\.cpp:$/ { file = source "/" substr($0, 1, length($0) - 1) }
    /^```$/ { writing = 0; file = "" }
    writing { print > file }
    /^```cpp$/ && file != "" {
      folder = file
      sub("/[^/]*$", "", folder)
      system("mkdir -p " folder)
      writing = 1
    }' reft/EXTENDING.md
}

# add_lines FILE START LINES: adds the lines behind the one of the file that starts so, in the copy.
add_lines() {
  awk -v start="$2" -v lines="$3" '
    { print }
    index($0, start) == 1 { print lines; added = 1 }
    END { exit !added }' "$work/source/$1" >"$work/added" && mv "$work/added" "$work/source/$1"
}

# add_to_list FILE LIST NAME: adds the name to the end of a list of a meson.build, in one line or several, in the copy.
add_to_list() {
  awk -v start="$2 = [" -v name="$3" '
    index($0, start) == 1 && /\]$/ { sub(/\]$/, ", \047" name "\047]"); added = 1 }
    index($0, start) == 1 && !/\]$/ { inside = 1 }
    inside && /^\]$/ { printf "  \047%s\047,\n", name; inside = 0; added = 1 }
    { print }
    END { exit !added }' "$work/source/$1" >"$work/added" && mv "$work/added" "$work/source/$1"
}

# The line of the table of metrics that EXTENDING.md shows: its only block of C++ that starts with one.
metric_line() {
  awk '
    /^    ScoreMetric\{/ { inside = 1 }
    inside && /^```$/ { exit }
    inside { print }' reft/EXTENDING.md
}

# Adds the name of each of the files to its table in reft/meson.build, and nothing else.
add_names() {
  local file
  for file in "$@"; do
    awk -v folder="'folder': '$(dirname "$file")'" -v name="$(basename "$file")" '
      index($0, folder) { inside = 1 }
      inside && /^    \],$/ {
        printf "      \047%s\047,\n", name
        inside = 0
        added = 1
      }
      { print }
      END { exit !added }' "$work/source/reft/meson.build" >"$work/meson.build" &&
      mv "$work/meson.build" "$work/source/reft/meson.build" || return
  done
}

# A copy of the source, with the files of EXTENDING.md and their names: meson makes its tables. They are compiled
# beside the files.
configure_copy() {
  local table
  git ls-files -z | xargs -0 cp --parents -t "$work/source" && extract && add_names "$@" &&
    add_to_list experiments/meson.build format_names question_reply &&
    add_to_list models/meson.build families windowed &&
    add_lines experiments/tasks/scoring.cpp 'constexpr std::array table{' "$(metric_line)" &&
    meson setup "$work/configured" "$work/source" || return
  for table in "$work/configured"/{reft,experiments,models}/*.cpp; do
    cmp -s "$table" "$build/${table#"$work/configured/"}" || cp "$table" "$work/new"
  done
  for file in "$@"; do cp "$work/source/reft/$file.cpp" "$work/new" || return; done
  cp "$work/source/experiments/tasks/formats/question_reply.cpp" "$work/source/models/llama/families/windowed.cpp" \
    "$work/source/experiments/tasks/scoring.cpp" "$work/new"
}

# The command by which BUILD_DIR makes one of its files.
command_of() { ninja -C "$build" -t commands "$1" | tail -n 1; }

compile_all() {
  compile=$(command_of reft/libreft_listed.a.p/router_gates_soft.cpp.o)
  export compile=${compile%% -MD*}
  find "$work/new" -name '*.cpp' -print0 |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'cd "$build" && eval "$compile -Werror -o ${1%.cpp}.o -c $1"' compile
}

# The linker takes a member of a library only where no object before it has the same functions.
link_with_objects() {
  local command objects
  command=$(command_of "$1")
  objects=$(find "$work/new" -name '*.o' -printf '%p ')
  (cd "$build" && eval "${command/-o $1 /-o $work/$(basename "$1") $objects}")
}

check "the programmes build" ninja -C "$build" experiments/csreft tests/csreft_tests
mkdir "$work/source" "$work/new"
check "what EXTENDING.md shows is added by its names in reft, models and experiments" configure_copy \
  router/gates/steep interventions/twicereft methods/shift stiefel/optimizers/riemannian_unit
check "they compile without a warning" compile_all
check "csreft with them links" link_with_objects experiments/csreft
check "the tests with them link" link_with_objects tests/csreft_tests
if ((failed > 0)); then finish; fi

# ---- what they do ---------------------------------------------------------------------------------------------------

csreft() { "$work/csreft" "$@"; }

# letters FIRST LAST: examples whose answer is in the instruction, to be learnt by heart.
letters() {
  local letter
  for letter in $(eval "echo {$1..$2}"); do
    printf '{"instruction": "say %s", "input": "", "output": "%s", "answer": "%s"}\n' "$letter" "$letter" "$letter"
  done
}

# value_of FILE KEY: the lines from `  "KEY": ` to the end of that value.
value_of() { sed -n "/^  \"$2\": [[{]\$/,/^  []}]/p" "$1" | sed 's/^  \([]}]\),$/  \1/'; }

# learns RUN: its 20 cross-entropies are numbers (`null` stands for others), and the last is less than the first.
learns() {
  value_of "$1/summary.json" train_cross_entropy | sed '1d; $d; s/,$//' | awk '
    $1 !~ /^[0-9][0-9.e+-]*$/ { bad = 1 }
    NR == 1 { first = $1 }
    { last = $1 }
    END { exit bad || NR != 20 || !(last < first) }'
}

# same_scores RUN: scores.json has what the run's summary.json has.
same_scores() {
  local scores
  scores=$(value_of "$1/summary.json" tasks)
  [[ $scores == *'"n": 16'* && $scores == "$(value_of "$1/scores.json" tasks)" ]]
}

# train_and_score NAME [flags]: trains into $work/NAME, and scores the adapter as it was scored at the end of the run.
train_and_score() {
  local run=$work/$1
  csreft train --model "$model" --train "$work/letters.json" --test "$work/letters.json" --epochs 20 --batch 16 \
    --lr 0.01 --no-baseline --quiet --out "$run" "${@:2}" &&
    learns "$run" &&
    csreft evaluate --model "$model" --adapter "$run/adapter" --test "$work/letters.json" --quiet \
      --out "$run/scores.json" &&
    same_scores "$run"
}

# says FILE TEXT: a line of one of the run's files has it.
says() { grep -qF -- "$2" "$work/$1"; }

# refuses TEXT [flags]: train ends with code 2 and one line, which has the text, and writes nothing.
refuses() {
  local code
  rm -rf "$work/refused"
  csreft train --model "$model" --train "$work/letters.json" --steps 1 --out "$work/refused" "${@:2}" \
    >"$work/out" 2>"$work/error"
  code=$?
  cat "$work/error"
  [[ $code == 2 && $(wc -l <"$work/error") == 1 && $(<"$work/error") == "error: "*"$1"* && ! -e $work/refused ]]
}

model=$root/tests/golden/tiny-gqa
letters a p >"$work/letters.json"
csreft train --help >"$work/help"

check "a gate trains, and its adapter loads" train_and_score gate --gate steep --steepness 2.5
check "a formula trains as a method" train_and_score formula --method twicereft
check "a formula trains in the subspaces of CS-ReFT" train_and_score subspaces --edit twicereft
check "a method trains, and its adapter loads" train_and_score method --method shift --layers 1,2 --strength 0.5
check "a method is a part of a sum" train_and_score sum --method shift+lora --shift.strength 2
check "an optimizer trains" train_and_score optimizer --optimizer riemannian_unit --retraction polar

# A family's config, a format's elements and a metric, in one evaluation.
sed 's/"model_type": "llama"/"model_type": "windowed", "attention_window": 256/; s/LlamaForCausalLM/WindowedForCausalLM/' \
  "$model/config.json" >"$work/config.json"
mkdir "$work/windowed"
cp "$model"/{model.safetensors,tokenizer.json,tokenizer_config.json} "$work/windowed"
sed 's/"instruction"/"question"/; s/"output"/"reply"/; s/"input": "", //' "$work/letters.json" >"$work/replies.jsonl"
evaluates() {
  csreft evaluate --model "$work/windowed" --test "$work/replies.jsonl" --metric starts --quiet --out "$work/starts.json" &&
    says starts.json '"starts": ' && says starts.json '"n": 16'
}
needs_window() {
  sed 's/"attention_window": 256/"unknown": 1/' "$work/config.json" >"$work/windowed/config.json"
  ! csreft evaluate --model "$work/windowed" --test "$work/replies.jsonl" --quiet --out "$work/none.json" 2>"$work/error" &&
    says error 'attention_window'
}
check "a model of the family without its window is refused" needs_window
cp "$work/config.json" "$work/windowed"
check "a family, a format and a metric score together" evaluates
csreft evaluate --help >"$work/help-evaluate"
check "--help lists the metric" says help-evaluate 'starts: the share of greedy answers'

for text in '--steepness' '--strength' 'steep: sigmoid' 'twicereft: h + 2 R^T' 'shift: a learnt vector' \
  'riemannian_unit: AdamW'; do
  check "--help lists $text" says help "$text"
done
for run in gate/summary.json gate/adapter/adapter.json; do
  check "$run names the gate" says "$run" '"gate": "steep"'
  check "$run has its option" says "$run" '"steepness": 2.5'
done
for run in method/summary.json method/adapter/adapter.json; do
  check "$run names the method" says "$run" '"method": "shift"'
  check "$run has its option" says "$run" '"strength": 0.5'
done
check "the sum's adapter has the part's option" says sum/adapter/adapter.json '"shift.strength": 2.0'
check "the formula is named in its run" says formula/summary.json '"method": "twicereft"'
check "the formula is named in CS-ReFT's run" says subspaces/adapter/adapter.json '"edit": "twicereft"'
check "the optimizer is named in its run" says optimizer/config.json 'riemannian_unit'

check "a gate's option out of range is refused" refuses --steepness --gate steep --steepness 0
check "a method's option out of range is refused" refuses --strength --method shift --strength -1
check "a name that is nearly a gate's is told of it" refuses 'did you mean steep?' --gate step

# The tests that go through the tables reach what is new: gradients, starts, options, orthonormality.
check "the tests of formulas, methods and gates" "$work/csreft_tests" \
  --source-file='*interventions_test.cpp,*methods_test.cpp,*gates_test.cpp'
check "the tests of optimizers" "$work/csreft_tests" --source-file='*optimizer_rules_test.cpp' \
  --test-case-exclude='*follows its formula*,Ten thousand*,*width of large models*'
finish
