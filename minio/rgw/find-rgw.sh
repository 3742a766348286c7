#!/usr/bin/env bash
# find-rgw.sh [--no-install]: prints the folder that holds an unpacked Ceph (monitor, OSD and the RADOS gateway), and
# nothing else, on stdout. Debian's packages are downloaded through this machine's own apt mirror and unpacked into
# the cache; nothing is installed on the system and no root is needed. Progress goes to stderr.
# Exit code 1: there is none and it cannot be had here; stderr says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=../cache-folder.sh
. ../cache-folder.sh

# Ceph 20. Bookworm's radosgw 16 creates conditionally too, but breaks conditional multipart completion.
readonly SUITE=${MORAINE_RGW_SUITE:-forky}

cache=$(cache_folder)
folder=$cache/rgw-$SUITE
if [ -x "$folder/usr/bin/radosgw" ]; then
  printf '%s\n' "$folder"
  exit 0
fi

refuse() {
  echo "no Ceph RGW: $1" >&2
  exit 1
}
[ "${1:-}" = --no-install ] && refuse "none in $cache, and fetching was not asked for"
for tool in apt-get dpkg dpkg-deb; do
  command -v $tool >/dev/null || refuse "none in $cache, and there is no $tool to fetch Debian's packages with"
done
grep -q '^ID=debian$' /etc/os-release 2>/dev/null || refuse "none in $cache, and only Debian's own packages are known to work"
[ "$(dpkg --print-architecture)" = amd64 ] || refuse "none in $cache, and only the amd64 packages are known to work"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || refuse "the package debian-archive-keyring is missing"
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '/^deb / { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' \
  /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || refuse "apt's sources name no mirror"

hold_lock "$cache/rgw.lock"
if [ ! -x "$folder/usr/bin/radosgw" ]; then
  echo "fetching Ceph RGW from Debian $SUITE into $cache (once per user, about half a minute)" >&2
  partial=$cache/rgw-$SUITE.partial
  rm -rf "$partial"
  mkdir -p "$partial"/{root,debs} \
    "$partial"/apt/{etc/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d},lib/lists/partial,cache/archives/partial}
  # An empty status file makes apt resolve every dependency, so that the unpacked tree brings its own C library and
  # does not depend on the Debian release that runs it. Mirrors that are snapshots serve lists past their date:
  # signatures are checked, dates are not.
  : >"$partial/apt/status"
  echo "deb [signed-by=$keyring] $mirror $SUITE main" >"$partial/apt/etc/sources.list"
  cat >"$partial/apt/apt.conf" <<CONF
Dir "$partial/apt";
Dir::State "$partial/apt/lib";
Dir::State::status "$partial/apt/status";
Dir::Cache "$partial/apt/cache";
Dir::Etc "$partial/apt/etc";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
CONF
  export APT_CONFIG=$partial/apt/apt.conf
  apt-get -qq update >&2 9>&- || refuse "apt could not read the $SUITE package lists"
  # The closure of the three daemons is large because of Ceph's Python tools; the daemons need only the libraries.
  packages=$(apt-get install --simulate --no-install-recommends radosgw ceph-mon ceph-osd |
    awk '/^Inst/ { print $2 }' |
    grep -E '^(lib|zlib1g$|radosgw$|ceph-(mon|osd|base|common)$)' |
    grep -vE '^lib(perl|pam|python|systemd-shared|lvm|cryptsetup|parted)')
  # shellcheck disable=SC2086
  (cd "$partial/debs" && apt-get -qq download $packages >&2 9>&-) || refuse "apt could not download the packages"
  for package in "$partial"/debs/*.deb; do dpkg-deb -x "$package" "$partial/root"; done
  (cd "$partial/root/usr/share" && rm -rf doc man locale lintian)
  [ -x "$partial/root/usr/bin/radosgw" ] || refuse "the packages of $SUITE hold no radosgw"
  rm -rf "$folder"
  mv "$partial/root" "$folder"
  rm -rf "$partial"
fi
printf '%s\n' "$folder"
