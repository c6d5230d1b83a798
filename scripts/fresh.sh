#!/usr/bin/env bash
# Proves that a bare Debian 12 needs nothing but Rust, make and a clone of this repository:
#
#   scripts/fresh.sh [COMMAND]      default: make run && make test
#
# FRESH names the folder (default: /var/tmp/weir-fresh). It keeps the installed root as base/, so that a
# second run starts from there, and the place of the last run as root/, with its target/.
#
# The inside sees: a minimal Debian with make, the sources of HEAD, and this machine's Rust toolchain, read-only;
# CAPTURES and GOLDENS too, where they are given. Package sources, proxies and certificate authorities are those
# of this machine.
set -euo pipefail

fresh=${FRESH:-/var/tmp/weir-fresh}
base=$fresh/base
root=$fresh/root
release=bookworm
repository=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "fresh: $*" >&2; }
die() {
  say "$@"
  exit 1
}

main() {
  local command=${1:-"make run && make test"}
  ((EUID == 0)) || die "run it as root: sudo make fresh"
  command -v debootstrap >/dev/null || die "debootstrap is missing: scripts/setup.sh fresh"
  command -v rustc >/dev/null || die "no rustc in PATH: it lends the inside its toolchain"

  # All mounts and processes of the inside live in namespaces of their own, and end with this script.
  if [[ ${inside_namespaces:-} != yes ]]; then
    exec env inside_namespaces=yes unshare --mount --pid --fork --kill-child "$0" "$@"
  fi

  [[ -e $base/.complete ]] || install_base
  say "a new root from $base"
  rm -rf --one-file-system "$root"
  cp -a --reflink=auto "$base" "$root"
  clone
  mount_all
  say "inside: $command"
  enter "$command"
  say "passed: $command"
}

install_base() {
  say "installing Debian $release into $base"
  rm -rf --one-file-system "$base"
  mkdir -p "$base"
  # shellcheck disable=SC2046 # no mirror is no argument
  debootstrap --variant=minbase --include=ca-certificates,make "$release" "$base" $(mirror)
  package_sources
  touch "$base/.complete"
}

# Prints the mirror that this machine takes Debian from, if it is the same release.
mirror() {
  host_target "$release" | head -1
}

host_target() {
  # shellcheck disable=SC2016 # apt's own placeholder
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Component: main' "Codename: $1" 2>/dev/null || true
}

# The inside asks the servers that this machine asks, by the same proxies.
package_sources() {
  local suite site
  for suite in "$release" "$release-updates" "$release-security"; do
    site=$(host_target "$suite" | head -1)
    [[ -z $site ]] || echo "deb $site $suite main"
  done >"$base/etc/apt/sources.list.host"
  if [[ -s $base/etc/apt/sources.list.host ]]; then
    mv "$base/etc/apt/sources.list.host" "$base/etc/apt/sources.list"
  else
    rm "$base/etc/apt/sources.list.host"
  fi
  apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries)' >"$base/etc/apt/apt.conf.d/90host" || true
  # Nothing is to be there that a user's machine would not have: the package lists come with the first install.
  rm -rf "$base"/var/lib/apt/lists/*
}

clone() {
  git -c advice.detachedHead=false clone --quiet --no-hardlinks --no-local "$repository" "$root/weir"
  say "sources: $(git -C "$root/weir" log -1 --format='%h %s')"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/root/.cargo" "$root/opt/rust"
  local file
  for file in config config.toml; do
    [[ ! -e ${CARGO_HOME:-$HOME/.cargo}/$file ]] || cp -L "${CARGO_HOME:-$HOME/.cargo}/$file" "$root/root/.cargo/"
  done
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/opt/host-authorities.crt"
}

mount_all() {
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  mount --bind "$(rustc --print sysroot)" "$root/opt/rust"
  mount -o remount,bind,ro "$root/opt/rust"
  local name
  for name in CAPTURES GOLDENS; do
    [[ -n ${!name:-} ]] || continue
    mkdir -p "$root/opt/$name"
    mount --bind "${!name}" "$root/opt/$name"
    mount -o remount,bind,ro "$root/opt/$name"
  done
}

enter() {
  local variables=(
    HOME=/root
    PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    LANG=C.UTF-8
    CARGO_HTTP_CAINFO=/opt/host-authorities.crt
  )
  local name
  for name in http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || variables+=("$name=${!name}")
  done
  # With CI=true a test that cannot run fails; some of them need the recordings.
  [[ -z ${CAPTURES:-} || -z ${GOLDENS:-} ]] ||
    variables+=(CAPTURES=/opt/CAPTURES GOLDENS=/opt/GOLDENS CI=true)
  env -i "${variables[@]}" chroot "$root" bash -c "cd /weir && $1"
}

main "$@"
