#!/bin/sh
# layers_test.sh SOURCE: what docs/architecture.md says of folders and what they may see, by their #include lines.
cd "$1" || exit 1
failed=0
# keep_apart FOLDER PATTERN: nothing in the folder includes a header whose path matches.
keep_apart() {
  if grep -rnE --include='*.h' --include='*.cc' "^#include \"($2)" "$1"; then
    echo "$1 must not see $2"
    failed=1
  fi
}
keep_apart common 'encoder_node/|render_node/|coordinator/'
keep_apart encoder_node 'render_node/|coordinator/'
keep_apart render_node 'encoder_node/|coordinator/'
keep_apart coordinator 'encoder_node/|render_node/'
# The request layer, and what it stands on, serve fronts that are no command line.
command_line='coordinator/(cli/|interrupt|private_nodes|run_folder|child_process)'
for part in order client files.h files.cc input.h input.cc text_input.h text_input.cc; do
  keep_apart "coordinator/$part" "$command_line"
done
keep_apart coordinator/order 'coordinator/client/(connection|encoder_client|messages|render_client|call_stop)|diptych/v1/|common/(net|wire)/'
exit $failed
