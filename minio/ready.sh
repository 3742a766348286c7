# Sourced by the start scripts: the ways to launch a daemon and to wait for it that need nothing but bash.

# launch RUN NAME COMMAND...: starts a daemon that outlives this shell, its output in RUN/NAME.log, its id in RUN/NAME.pid.
launch() {
  local run=$1 name=$2
  shift 2
  nohup "$@" >>"$run/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
}

# answers PORT PATH: true when the server on 127.0.0.1 answers a GET with any HTTP status below 500.
answers() {
  local status
  status=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
    read -r -t 5 _ code _ <&3 && printf '%s' "$code"
  ) || true
  [[ $status =~ ^[1-4] ]]
}

# wait_for RUN NAME SECONDS COMMAND...: repeats the command until it is true; gives up when the daemon has ended.
wait_for() {
  local run=$1 name=$2 deadline=$((SECONDS + $3))
  shift 3
  until "$@"; do
    if ! kill -0 "$(cat "$run/$name.pid")" 2>/dev/null; then
      echo "$name ended before it was ready; its log says:" >&2
      tail -n 20 "$run/$name.log" >&2
      return 1
    fi
    if [ $SECONDS -ge $deadline ]; then
      echo "$name was not ready in time; its log says:" >&2
      tail -n 20 "$run/$name.log" >&2
      return 1
    fi
    sleep 0.05
  done
}

# running RUN NAME: true when the recorded process still lives and is ours. A process id is reused sooner or later, so a
# recorded one counts only while the process names this run folder on its command line.
running() {
  local pid args
  pid=$(cat "$1/$2.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  if [ -r "/proc/$pid/cmdline" ]; then
    args=$(tr '\0' ' ' <"/proc/$pid/cmdline")
  else
    args=$(ps -o args= -p "$pid" 2>/dev/null) || return 1
  fi
  [[ $args == *"$1"* ]]
}
