#!/usr/bin/env bash
# run-until-eof.sh FOLDER COMMAND...: runs a start script, prints READY, and when its own stdin ends stops every server
# recorded in FOLDER and deletes FOLDER. A test run holds the other end of that pipe: however the run ends, also by
# SIGKILL, the pipe closes and no server or data stays behind.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$1
shift
# An interrupt at the terminal is the test run's to handle; this process waits for the pipe.
trap '' INT TERM HUP
status=0
if "$@" </dev/null; then
  echo READY
  while read -r _; do :; done
else
  status=1
fi
"$here/stop.sh" --run "$run" --remove 2>/dev/null
exit $status
