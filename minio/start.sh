#!/usr/bin/env bash
# start.sh [--port 9000] [--run FOLDER] [--quiet]: starts a local MinIO on 127.0.0.1, waits until it answers and prints
# how to reach it. FOLDER (default: .cache/minio of this checkout) keeps its data, its log and its process id, and
# `stop.sh` finds it there. Keys: MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, or moraine / moraine-secret.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=ready.sh
. "$here/ready.sh"

port=9000 run=$here/../.cache/minio quiet=false
while [ $# -gt 0 ]; do
  case $1 in
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --run) run=${2:?--run needs a folder}; shift 2 ;;
    --quiet) quiet=true; shift ;;
    *) sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done

[ -d "$run" ] && run=$(cd "$run" && pwd)
if running "$run" minio; then
  echo "MinIO already runs from $run with process id $(cat "$run/minio.pid"); stop it with minio/stop.sh --run $run" >&2
  exit 1
fi

binary=$("$here/find-minio.sh")
if answers "$port" /; then
  echo "something else already answers on port $port; choose another with --port" >&2
  exit 1
fi
# A folder at the top of the data folder is a bucket to MinIO, so the example below works at once.
mkdir -p "$run/data/moraine"
run=$(cd "$run" && pwd)
export MINIO_ROOT_USER=${MINIO_ROOT_USER:-moraine} MINIO_ROOT_PASSWORD=${MINIO_ROOT_PASSWORD:-moraine-secret}
# No console, no update check, no call home: a server for one machine.
export MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off
: >"$run/minio.log"
launch "$run" minio "$binary" server --quiet --address "127.0.0.1:$port" "$run/data"
wait_for "$run" minio 60 answers "$port" /minio/health/ready || { "$here/stop.sh" --run "$run"; exit 1; }

$quiet && exit 0
cat <<TEXT
MinIO answers at http://127.0.0.1:$port (process $(cat "$run/minio.pid"), data in $run/data)

  export AWS_ACCESS_KEY_ID=$MINIO_ROOT_USER AWS_SECRET_ACCESS_KEY=$MINIO_ROOT_PASSWORD AWS_REGION=us-east-1
  npm run quickstart -- --location 's3://moraine/first?endpoint=http://127.0.0.1:$port'

Run the S3 tests on it:  MORAINE_S3_ENDPOINT=http://127.0.0.1:$port npm test
Stop it:                 minio/stop.sh --run $run
TEXT
