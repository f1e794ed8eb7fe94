# built NAME CARGO-OPTION...: builds, and names the test program NAME. What does not build says so and ends the script.
built() {
  local name=$1
  shift
  cargo test --quiet "$@" --no-run --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/'"$name"'-[^"\/]*\)".*/\1/p' | tail -n 1
}
