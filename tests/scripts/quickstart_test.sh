#!/usr/bin/env bash
# scripts/quickstart where it may not write: a checkout of somebody else, a folder of somebody else. Nothing is built here.
#   quickstart_test.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source_dir=$1 build_dir=$2
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
chmod 755 "$work"
export XDG_CACHE_HOME=$work/mine/cache
mkdir -p "$work/checkout/build/bin" "$work/mine"
cp -r "$source_dir/scripts" "$work/checkout/"
mkdir "$work/checkout/models" && cp -r "$source_dir/models/demo" "$work/checkout/models/"
chmod 777 "$work/mine"

# Permissions do not bind root: then the script runs as nobody.
as_guest=()
[ "$(id -u)" -ne 0 ] || as_guest=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$work/mine")
quickstart() { (cd "$1" && "${as_guest[@]}" "$work/checkout/scripts/quickstart" "a red circle") >"$work/said" 2>&1; }
expect() { grep -q "$1" "$work/said" || { echo "expected \"$1\" in:"; cat "$work/said"; exit 1; }; }
refused() { if quickstart "$1"; then echo "not refused:"; cat "$work/said"; exit 1; fi; }

chmod -R a-w "$work/checkout"
refused "$work/mine"
expect "nothing can be built in $work/checkout/build"
expect "cp -r $work/checkout ~/diptych"

chmod u+w "$work/checkout/build/bin"
cp "$build_dir"/bin/diptych "$build_dir"/bin/diptych-encoderd "$build_dir"/bin/diptych-renderd "$work/checkout/build/bin/"
chmod a-w "$work/checkout/build/bin"
mkdir "$work/theirs" && chmod 555 "$work/theirs"
refused "$work/theirs"
expect "picture.png cannot be written into $work/theirs"

quickstart "$work/mine" || { echo "programs that are there should do:"; cat "$work/said"; exit 1; }
expect "Using the programs that $(stat -c %U "$work/checkout/build/bin/diptych") built"
[ "$(head -c 4 "$work/mine/picture.png" | tail -c 3)" = PNG ] || { echo "picture.png is no PNG"; exit 1; }
