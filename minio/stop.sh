#!/usr/bin/env bash
# stop.sh [--run FOLDER] [--remove]: stops the servers whose process ids are recorded in FOLDER (default: .cache/minio of
# this checkout) and nothing else. --remove deletes the folder with its data, too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=ready.sh
. "$here/ready.sh"

run=$here/../.cache/minio remove=false
while [ $# -gt 0 ]; do
  case $1 in
    --run) run=${2:?--run needs a folder}; shift 2 ;;
    --remove) remove=true; shift ;;
    *) sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
[ -d "$run" ] || { echo "nothing runs from $run" >&2; exit 0; }
run=$(cd "$run" && pwd)

stopped=0
for file in "$run"/*.pid; do
  name=$(basename "$file" .pid)
  [ -e "$file" ] || continue
  if running "$run" "$name"; then
    pid=$(cat "$file")
    for signal in TERM KILL; do
      kill -$signal "$pid" 2>/dev/null || true
      for _ in $(seq 100); do
        running "$run" "$name" || break 2
        sleep 0.05
      done
    done
    stopped=$((stopped + 1))
  fi
  rm -f "$file"
done
if $remove; then rm -rf "$run"; fi
echo "stopped $stopped server process(es)" >&2
