# Sourced by the scripts of this folder. `cache_folder` prints the folder that keeps built or unpacked servers:
# per user, so that a second checkout does not build again, or `.cache/` of this checkout where the home is read-only.
cache_folder() {
  local checkout folder
  checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if [ -n "${MORAINE_CACHE:-}" ]; then
    folder=$MORAINE_CACHE
  else
    folder=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/moraine
  fi
  if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
    folder=$checkout/.cache
    mkdir -p "$folder"
  fi
  printf '%s\n' "$folder"
}

# Holds the lock file $1 for the rest of this process, so that two checkouts do not build the same thing at once.
# Without `flock` both would build; the result is moved into place in one rename, so that is only slow.
hold_lock() {
  exec 9>"$1"
  if command -v flock >/dev/null && ! flock -n 9; then
    echo "waiting for another process that is preparing the same server" >&2
    flock 9
  fi
}
