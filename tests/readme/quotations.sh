#!/usr/bin/env bash
# What docs/troubleshooting.md quotes in the first column of its tables is in a message of ours, word for word.
#   quotations.sh SOURCE_DIR
set -euo pipefail
cd "$1"
missing=0
while IFS= read -r quoted; do
  grep -rqF --include='*.cc' --include='*.h' --include='*.cmake' --include=quickstart --include=install-packages \
      -- "$quoted" common coordinator encoder_node render_node scripts cmake && continue
  echo "docs/troubleshooting.md quotes a message that nobody says: $quoted"
  missing=1
done < <(awk -F'|' '/^\| / && NF >= 5 { print $2 }' docs/troubleshooting.md | grep -v 'the compiler is killed' | grep -o '`[^`]*`' | tr -d '`')
exit $missing
