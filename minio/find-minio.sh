#!/usr/bin/env bash
# find-minio.sh [--no-build]: prints the path of a MinIO server binary, and nothing else, on stdout. Progress goes to
# stderr. It looks on PATH, then in the cache, and then builds the version below with Go, which takes a few minutes once.
# Exit code 1: there is none and it cannot be built here; stderr says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=cache-folder.sh
. ./cache-folder.sh

# MinIO's repository is archived and its go.mod has no tags that `go install` could use: this is its last commit.
readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
readonly GO_MINIMUM_MINOR=24

no_build=false
[ "${1:-}" = --no-build ] && no_build=true

on_path=$(command -v minio || true)
if [ -n "$on_path" ]; then
  printf '%s\n' "$on_path"
  exit 0
fi

cache=$(cache_folder)
binary=$cache/minio-$MINIO_VERSION/minio
for candidate in "$binary" "$(cd .. && pwd)/.cache/minio-$MINIO_VERSION/minio"; do
  if [ -x "$candidate" ]; then
    printf '%s\n' "$candidate"
    exit 0
  fi
done

refuse() {
  echo "no MinIO: $1" >&2
  exit 1
}
$no_build && refuse "none on PATH or in $cache, and building was not asked for"
command -v go >/dev/null || refuse "none on PATH or in $cache, and there is no Go to build it with"
go_minor=$(go env GOVERSION | sed -nE 's/^go1\.([0-9]+).*/\1/p')
[ "${go_minor:-0}" -ge $GO_MINIMUM_MINOR ] ||
  refuse "none on PATH or in $cache, and building it needs Go 1.$GO_MINIMUM_MINOR or newer ($(go env GOVERSION) found)"

hold_lock "$cache/minio.lock"
if [ ! -x "$binary" ]; then
  echo "building MinIO $MINIO_VERSION into $cache (once per user, two to five minutes)" >&2
  began=$SECONDS
  building=$cache/minio-$MINIO_VERSION.partial
  rm -rf "$building"
  mkdir -p "$building"
  # A line every 15 s tells a build from a hang. It ends with the build; its last sleep outlives it and so holds no pipe.
  (while sleep 15 >/dev/null 2>&1; do echo "  building MinIO: $((SECONDS - began)) s" >&2; done) >/dev/null 9>&- &
  ticker=$!
  trap 'kill "$ticker" 2>/dev/null || true' EXIT
  trap 'exit 130' INT TERM HUP
  GOBIN=$building go install "github.com/minio/minio@$MINIO_VERSION" >&2 9>&- ||
    refuse "'go install' failed, see above"
  rm -rf "$(dirname "$binary")"
  mv "$building" "$(dirname "$binary")"
  echo "built MinIO in $((SECONDS - began)) s" >&2
fi
printf '%s\n' "$binary"
