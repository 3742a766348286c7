#!/usr/bin/env bash
# run-until-eof.sh FOLDER COMMAND...: runs a start script, prints READY, and when its own stdin ends stops every server
# recorded in FOLDER and deletes FOLDER. A test run holds the other end of that pipe: however the run ends, also by
# SIGKILL, the pipe closes and no server or data stays behind.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$1
shift
trap '"$here/stop.sh" --run "$run" --remove 2>/dev/null' EXIT
# Handlers, not `trap ''`: a signal that this shell ignores would be ignored by the servers it starts, too.
trap 'exit 1' INT TERM HUP
"$@" </dev/null || exit 1
echo READY
while read -r _; do :; done
