#!/usr/bin/env bash
# start.sh [--port 7480] [--run FOLDER] [--quiet]: starts a one-node Ceph (a monitor, an OSD in memory and the RADOS
# gateway) on 127.0.0.1, waits until S3 answers on the port and prints how to reach it. The monitor takes the next port.
# FOLDER (default: .cache/rgw of this checkout) is emptied first; `../stop.sh --run FOLDER` stops it.
# Keys: RGW_ACCESS_KEY and RGW_SECRET_KEY, or moraine / moraine-secret.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../ready.sh
. "$here/../ready.sh"

port=7480 run=$here/../../.cache/rgw quiet=false
while [ $# -gt 0 ]; do
  case $1 in
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --run) run=${2:?--run needs a folder}; shift 2 ;;
    --quiet) quiet=true; shift ;;
    *) sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
mkdir -p "$run"
run=$(cd "$run" && pwd)
for name in rgw osd mon; do
  if running "$run" "$name"; then
    echo "Ceph already runs from $run; stop it with minio/stop.sh --run $run" >&2
    exit 1
  fi
done
root=$("$here/find-rgw.sh")
if answers "$port" /; then
  echo "something else already answers on port $port; choose another with --port" >&2
  exit 1
fi
access_key=${RGW_ACCESS_KEY:-moraine} secret_key=${RGW_SECRET_KEY:-moraine-secret}

libraries=$root/usr/lib/x86_64-linux-gnu
# The unpacked tree brings its own C library, so its own loader starts the programs.
loader=$libraries/ld-linux-x86-64.so.2
[ -e "$loader" ] || loader=/lib64/ld-linux-x86-64.so.2
ceph=("$loader" --library-path "$libraries:$libraries/ceph:$root/lib/x86_64-linux-gnu")

rm -rf "$run"/{mon,osd,rgw,log,sockets,monmap,osdmap} "$run"/*.{log,pid}
mkdir -p "$run"/{mon,osd,rgw,log,sockets}
fsid=$(cat /proc/sys/kernel/random/uuid)
# No authentication between the daemons, no replication, the data in memory: what is under test is the S3 protocol.
# `crc` mode avoids an authenticated handshake that cephx-less clusters do not have. Commit intervals and the
# collector's wait are short, because tests create and delete buckets all the time.
cat >"$run/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$((port + 1))/0]
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
ms cluster mode = crc
ms service mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 5000
mon allow pool size one = true
mon data = $run/mon
mon data avail crit = 0
mon data avail warn = 0
paxos propose interval = 0.02
paxos min wait = 0.01
log file = $run/log/\$name.log
mon cluster log file = $run/log/cluster.log
run dir = $run/sockets
admin socket =
plugin dir = $libraries/ceph
erasure code dir = $libraries/ceph/erasure-code
osd class dir = $libraries/rados-classes
osd class load list = *
osd class default list = *
debug ms = 0/0
debug rgw = 0/0
debug rgw access = 0/0
debug objecter = 0/0
debug rados = 0/0
debug mon = 0/0
debug paxos = 0/0
debug rocksdb = 0/0
[osd]
osd data = $run/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd op num shards = 2
[client]
keyring = /dev/null
[client.rgw]
rgw data = $run/rgw
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw enable usage log = false
rgw gc obj min wait = 10
rgw gc processor period = 10
rgw dns name = 127.0.0.1
rgw override bucket index max shards = 1
rgw dynamic resharding = false
CONF

failed() {
  echo "Ceph did not start: $1" >&2
  tail -n 20 "$run"/setup.log "$run"/log/*.log >&2 2>/dev/null || true
  "$here/../stop.sh" --run "$run"
  exit 1
}
setup() { "${ceph[@]}" "$root/usr/bin/$1" "${@:2}" >>"$run/setup.log" 2>&1 || failed "$1 failed"; }
daemon() { launch "$run" "$1" "${ceph[@]}" "$root/usr/bin/$2" -c "$run/ceph.conf" "${@:3}" -f; }
osd_active() { grep -q 'booting -> active' "$run/log/osd.0.log" 2>/dev/null; }

setup monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$((port + 1))]" --enable-all-features "$run/monmap"
setup osdmaptool --createsimple 1 --clobber "$run/osdmap"
setup ceph-mon -c "$run/ceph.conf" -i a --mkfs --monmap "$run/monmap" --osdmap "$run/osdmap"
daemon mon ceph-mon -i a
setup ceph-osd -c "$run/ceph.conf" -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)"
daemon osd ceph-osd -i 0
wait_for "$run" osd 60 osd_active || failed "the OSD did not become active"
daemon rgw radosgw -n client.rgw
wait_for "$run" rgw 60 answers "$port" / || failed "the gateway does not answer"
setup radosgw-admin -c "$run/ceph.conf" -n client.rgw user create --uid=moraine --display-name=moraine \
  --access-key="$access_key" --secret-key="$secret_key"

$quiet && exit 0
cat <<TEXT
Ceph RGW answers at http://127.0.0.1:$port (processes $(cat "$run"/{mon,osd,rgw}.pid | tr '\n' ' '), log in $run)

  export AWS_ACCESS_KEY_ID=$access_key AWS_SECRET_ACCESS_KEY=$secret_key AWS_REGION=us-east-1

Run the S3 tests on it:  MORAINE_S3_ENDPOINT=http://127.0.0.1:$port npm test
Stop it:                 minio/stop.sh --run $run
TEXT
