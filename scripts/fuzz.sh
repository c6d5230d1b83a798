#!/usr/bin/env bash
# Coverage-guided fuzzing of the targets in fuzz/, with a nightly compiler and cargo-fuzz:
#
#   scripts/fuzz.sh run MINUTES [TARGET...]   fuzzes for so long in all, an equal part a target
#   scripts/fuzz.sh keep [TARGET...]          makes fuzz/corpus the least that covers all that was found
#
# What a run finds stays in fuzz/target/found. An input that does harm is left in fuzz/artifacts, which the ordinary
# tests run as they run the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(config fragments helper parse pipeline tcp)
# Longer inputs cost time and find nothing more.
length_max=2048

say() { echo "fuzz: $*" >&2; }
die() {
  say "$@"
  exit 1
}

main() {
  local what=${1:-}
  shift || true
  cargo +nightly --version &>/dev/null || die "it needs a nightly compiler: rustup toolchain install nightly"
  cargo fuzz --version &>/dev/null || die "it needs cargo-fuzz: cargo install cargo-fuzz --locked"
  local minutes=0 target
  if [[ $what == run ]]; then
    minutes=${1:-}
    [[ $minutes =~ ^[1-9][0-9]*$ ]] || die "say how many minutes: scripts/fuzz.sh run 60"
    shift
  fi
  (($# == 0)) || targets=("$@")
  for target in "${targets[@]}"; do
    case $what in
      run) run "$target" $((minutes * 60 / ${#targets[@]})) ;;
      keep) keep "$target" ;;
      *) die "say run or keep" ;;
    esac
  done
}

run() {
  local target=$1 seconds=$2 found=fuzz/target/found/$1
  mkdir -p "$found" "fuzz/corpus/$target"
  # The configuration begins with the files that other tests use.
  if [[ $target == config ]]; then
    cp configs/*.yaml control/tests/wrong/*.yaml "$found"
  else
    cargo run --quiet -p weir-tests --bin fuzz-seeds -- "$target" "$found"
  fi
  say "$target for $seconds s"
  fuzz "$target" "$found" "fuzz/corpus/$target" -- -max_total_time="$seconds" -print_final_stats=1
}

keep() {
  local target=$1 corpus=fuzz/corpus/$1 least=fuzz/target/least/$1
  [[ -d fuzz/target/found/$target ]] || die "nothing was found for $target: run it first"
  rm -rf "$least"
  mkdir -p "$least" "$corpus"
  fuzz "$target" "$least" "$corpus" "fuzz/target/found/$target" -- -set_cover_merge=1
  rm -rf "$corpus"
  mv "$least" "$corpus"
  say "$target: $(find "$corpus" -type f | wc -l) inputs"
}

# TARGET FOLDER... -- OPTION...
fuzz() {
  local target=$1 features=() dictionary=fuzz/dictionaries/$1.txt options=()
  shift
  [[ $target != config ]] || features=(--features config)
  # The words of the languages that the target reads.
  [[ ! -e $dictionary ]] || options=(-dict="$dictionary")
  cargo +nightly fuzz run --fuzz-dir fuzz "${features[@]}" "$target" "$@" -max_len="$length_max" -timeout=20 \
    "${options[@]}"
}

main "$@"
