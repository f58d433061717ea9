#!/usr/bin/env bash
# Runs the commands of README.md as they are printed, in the order in which they are printed, in one shell.
#   run_readme.sh SOURCE_DIR BUILD_DIR
# Every block of the README is a block of `sh` that is run, or stands below a line <!-- not run by the test: WHY -->. A line that
# starts a daemon is put into the background, as somebody with a second terminal would, and the next one waits until it listens.
# The folder is an empty one with build/ and models/ in it; Z-Image-Turbo is the demo model there. The network is one of its own, with
# nothing but loopback and the example's addresses, so that the ports of the README are free.
set -euo pipefail
source_dir=$1 build_dir=$2

if [ "${3-}" != inside ]; then
  unshare --map-root-user --net true 2>/dev/null || { echo "SKIPPED: no network namespace may be made here"; exit 77; }
  exec unshare --map-root-user --net --fork --kill-child "$0" "$source_dir" "$build_dir" inside
fi
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 192.0.2.2/32 dev lo

work=$(mktemp -d)
daemons=()
finish() {
  status=$?
  for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  [ $status -eq 0 ] || tail -n 5 "$work"/*.log || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT
mkdir "$work/diptych" "$work/home"
export HOME=$work/home
unset DIPTYCH_RENDER DIPTYCH_CONFIG XDG_CACHE_HOME
cd "$work/diptych"
ln -s "$build_dir" build
ln -s "$source_dir/models" models
ln -s models/demo Z-Image-Turbo

# The blocks as one script; a block that is neither `sh` nor excused is an error.
awk '
  /^```/ && inside { inside = run = 0; next }
  /^```/ { inside = 1; run = !excused && $0 == "```sh"
           if (!run && !excused) { print "README.md:" NR ": a block that is neither sh nor excused" >"/dev/stderr"; exit 1 }
           excused = 0; next }
  /^<!-- not run by the test: .* -->$/ { excused = 1; next }
  run { print }
' "$source_dir/README.md" >"$work/commands"
[ "$(grep -c diptych "$work/commands")" -ge 15 ] || { echo "hardly any command was found in README.md"; exit 1; }

# in_background COMMAND...: until it listens. Daemons of an earlier pair are ended before the first of the next pair starts.
in_background() {
  if [ ${#daemons[@]} -eq 2 ]; then
    kill "${daemons[@]}"
    for pid in "${daemons[@]}"; do wait "$pid" || true; done
    daemons=()
  fi
  local log=$work/daemon-$((++started)).log
  "$@" >"$log" 2>&1 &
  daemons+=($!)
  for _ in $(seq 600); do
    if grep -q ' info listening on' "$log"; then return; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  echo "did not start: $*"
  return 1
}
started=0
sed -E 's,^(build/bin/diptych-(encoder|render)d ),in_background \1,' "$work/commands" >"$work/script"
set -x
source "$work/script"
set +x
echo "README: $(grep -c diptych "$work/commands") lines of commands ran"
