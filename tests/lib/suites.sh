# Suites: what they are, how one is run and counted, and the summary.
#
# Every integration target of cargo (tests/NAME.rs, tests/NAME/main.rs) is a suite of its name, and so is every executable
# tests/suites/NAME. Beside them: format, lint, build, unit, doc, deny.

passed=0 failed=0 skipped=0
report=()

# In the order in which they run: cheap and telling ones first.
all_suites() {
  local first=(format lint build layering unit e2e) name
  printf '%s\n' "${first[@]}"
  { targets; find tests/suites -maxdepth 1 -type f -executable -printf '%f\n' 2>/dev/null; } | sort -u |
    while read -r name; do case " ${first[*]} " in *" $name "*) ;; *) echo "$name" ;; esac; done
  printf '%s\n' doc deny
}

targets() {
  cargo metadata --format-version=1 --no-deps | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    for target in package["targets"]:
        if "test" in target["kind"]:
            print(target["name"])'
}

# Seconds that a suite may take on two cores; more is said in the summary.
budget() {
  case $1 in
  lint | build) echo 420 ;;
  mac) echo 240 ;;
  unit | xmpp) echo 300 ;;
  sim) echo 240 ;;
  network | store) echo 180 ;;
  *) echo 120 ;;
  esac
}

run_suite() {
  local suite=$1 log=target/suite-$1.log start=$SECONDS status before
  before=$(wc -l <"$WAKEFUL_SKIPS")
  echo "=== $suite"
  case $suite in
  format) cargo fmt --check ;;
  lint) lint ;;
  build) cargo test --no-run ;;
  unit) cargo_test --lib --bins ;;
  doc) cargo test --quiet --doc ;;
  deny) deny ;;
  *) if [ -x "tests/suites/$suite" ]; then "tests/suites/$suite"; else cargo_test --test "$suite"; fi ;;
  esac 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  count "$suite" "$log" "$status" "$(($(wc -l <"$WAKEFUL_SKIPS") - before))" $((SECONDS - start))
}

lint() {
  cargo clippy --all-targets -- -D warnings && cargo clippy --all-targets --no-default-features -- -D warnings &&
    cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target &&
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --quiet
}

cargo_test() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --no-fail-fast --no-tests=pass --status-level=slow --final-status-level=slow "$@"
  else
    cargo test --no-fail-fast "$@"
  fi
}

deny() {
  if cargo deny --version >/dev/null 2>&1; then
    cargo deny --offline check --config .cargo/deny.toml bans licenses sources
  else
    printf 'deny\tcargo-deny is not installed\n' >>"$WAKEFUL_SKIPS"
  fi
}

# count SUITE LOG STATUS SKIPS SECONDS: adds a suite to the sums. A suite that counts nothing itself is one check.
count() {
  local suite=$1 log=$2 status=$3 skips=$4 seconds=$5 numbers good=0 bad=0 note=''
  numbers=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
    /^test result:/ { gsub(";", ""); good += $4; bad += $6; seen = 1 }
    / tests? run: / { for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) good += $(i - 1); if ($i ~ /^(failed|timed)/) bad += $(i - 1) } seen = 1 }
    /^[0-9]+ passed, [0-9]+ failed/ { good += $1; bad += $3; seen = 1 }
    END { if (seen) print good + 0, bad + 0 }')
  if [ -n "$numbers" ]; then
    read -r good bad <<<"$numbers"
    good=$((good > skips ? good - skips : 0))
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
  elif [ "$status" != 0 ]; then bad=1
  elif [ "$skips" = 0 ]; then good=1
  fi
  [ "$seconds" -gt "$(budget "$suite")" ] && note="over its $(budget "$suite") s"
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
  report+=("$(printf '%-12s %5d s   %4d passed  %3d failed  %3d skipped  %s' "$suite" "$seconds" "$good" "$bad" "$skips" "$note")")
}

# Is this skip in tests/skips.toml, with its reason?
allowed() {
  python3 - "$1" "$2" <<'X'
import re, sys
suite, reason = sys.argv[1:]
table = None
for line in open("tests/skips.toml", encoding="utf-8"):
    if found := re.fullmatch(r"\[([\w-]+)\]\s*", line):
        table = found[1]
    elif (found := re.fullmatch(r'"(.*)" = "(.{10,})"\s*', line)) and table == suite and re.fullmatch(found[1], reason):
        sys.exit(0)
sys.exit(1)
X
}

summary() {
  local suite reason
  printf '\n'; printf '%s\n' "${report[@]}"
  if [ -s "$WAKEFUL_SKIPS" ]; then
    printf '\nskipped:\n'
    while IFS=$'\t' read -r suite reason; do
      if [ "${WAKEFUL_STRICT:-0}" = 1 ] && ! allowed "$suite" "$reason"; then
        printf '  %s: %s  <- not in tests/skips.toml: a failure\n' "$suite" "$reason"
        failed=$((failed + 1)) skipped=$((skipped - 1))
      else
        printf '  %s: %s\n' "$suite" "$reason"
      fi
    done < <(sort "$WAKEFUL_SKIPS" | uniq)
  fi
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" = 0 ]
}
