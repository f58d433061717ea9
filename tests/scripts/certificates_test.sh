#!/usr/bin/env bash
# The openssl commands of docs/security.md, run as they stand there; then a renderer and a user with what they made.
#   certificates_test.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source_dir=$1 build_dir=$2
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT
grep '^openssl ' "$source_dir/docs/security.md" >"$work/commands"
[ "$(wc -l <"$work/commands")" -eq 5 ] || { echo "docs/security.md has not five commands:"; cat "$work/commands"; exit 1; }
cd "$work"
export XDG_CACHE_HOME=$work/cache
umask 077
bash -e commands >said 2>&1 || { cat said; exit 1; }

"$build_dir/bin/diptych-renderd" --model-path "$source_dir/models/demo" --state-dir state --listen localhost:0 --threads 1 \
    --tls-cert gpu.crt --tls-key gpu.key --tls-ca ca.crt >out 2>err &
daemon=$!
for _ in $(seq 300); do
  grep -q 'info listening on' err && break
  kill -0 "$daemon" 2>/dev/null || { echo "the renderer ended:"; cat err; exit 1; }
  sleep 0.2
done
port=$(sed 's/.*"listening":"[^"]*:\([0-9]*\)".*/\1/' out)
nodes() { "$build_dir/bin/diptych" nodes --render "localhost:$port" --timeout 20 "$@"; }
nodes --tls-cert alice.crt --tls-key alice.key --tls-ca ca.crt
if nodes --tls-ca ca.crt 2>refused; then echo "let in without a certificate"; exit 1; fi
grep -q 'it asks for a certificate' refused || { cat refused; exit 1; }
