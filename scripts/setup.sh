#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that a group of make targets needs:
#
#   scripts/setup.sh build|runtime|test|bench|check|fresh ...
#
# With all of them in place it does nothing and asks for no privilege. On any other system it names
# the packages and stops. SETUP=skip passes over it, for a machine that was prepared by hand.
set -euo pipefail

declare -A group=(
  # protoc and the common messages are what etcd-client is built with.
  [build]="build-essential ca-certificates libclang-dev libdpdk-dev libprotobuf-dev pkg-config protobuf-compiler"
  # The libraries and every driver; DPDK loads the drivers when it starts.
  [runtime]="librte-meta-all"
  [test]="arptables bind9-dnsutils conntrack curl dnsmasq-base etcd-server ethtool frr git iperf3 iproute2 iptables iputils-ping ipvsadm
    pptp-linux pptpd procps prometheus python3 sip-tester squid tcpdump tftpd-hpa traceroute valgrind vsftpd"
  # testpmd is among DPDK's development tools.
  [bench]="dpdk-dev ethtool iproute2 iptables"
  [check]="shellcheck"
  [fresh]="debootstrap git"
)
# Tests start these programs themselves, on ports of their own; as services of this machine nobody asked for them.
declare -A service=(
  [etcd-server]=etcd [frr]=frr [iperf3]=iperf3 [pptpd]=pptpd [prometheus]=prometheus [squid]=squid [tftpd-hpa]=tftpd-hpa [vsftpd]=vsftpd
)

say() { echo "setup: $*" >&2; }
die() {
  say "$@"
  exit 1
}

main() {
  [[ ${SETUP:-} == skip ]] && exit 0
  (($# > 0)) || die "name a group: ${!group[*]}"
  local wanted=() name
  for name in "$@"; do
    [[ -v group[$name] ]] || die "there is no group '$name'; groups are: ${!group[*]}"
    # shellcheck disable=SC2206 # a list of package names
    wanted+=(${group[$name]})
    [[ $name != build ]] || require_rust
  done

  local missing=()
  mapfile -t missing < <(missing_of "${wanted[@]}")
  ((${#missing[@]} > 0)) || exit 0
  require_system "${missing[@]}"
  require_root "${missing[@]}"
  install "${missing[@]}"
}

# Rust comes from rustup: the distributions' own compilers are too old.
require_rust() {
  local how="install it with rustup (https://rustup.rs), as the user that builds"
  local least found
  least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
  command -v cargo >/dev/null || die "no cargo in PATH; Weir needs Rust $least or newer: $how"
  found=$(rustc --version | cut -d' ' -f2)
  at_least "$found" "$least" || die "Rust $found is too old; Weir needs $least or newer: $how"
}

# Prints those of the named packages that are not installed, one a line.
missing_of() {
  if ! command -v dpkg-query >/dev/null; then
    printf '%s\n' "$@"
    return
  fi
  local name
  for name in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
  done
}

# Debian 12 and Ubuntu 24.04 are the first with a DPDK that is new enough.
require_system() {
  local ID=unknown VERSION_ID=
  # shellcheck source=/dev/null
  [[ ! -r /etc/os-release ]] || . /etc/os-release
  case $ID in
    # Debian's testing and unstable have no VERSION_ID.
    debian) at_least "${VERSION_ID:-99}" 12 && return ;;
    ubuntu) at_least "$VERSION_ID" 24.04 && return ;;
  esac
  say "this is $ID $VERSION_ID; packages are installed on Debian 12 and Ubuntu 24.04 or newer only."
  say "install what these are called on your system, DPDK in version 22.11 or newer: $*"
  die "then say SETUP=skip, as in: make run SETUP=skip"
}

require_root() {
  if ((EUID == 0)); then
    as_root() { env "$@"; }
  elif command -v sudo >/dev/null; then
    as_root() { sudo env "$@"; }
  else
    die "packages are missing and there is no sudo; as root run: apt-get install --no-install-recommends $*"
  fi
}

install() {
  say "installing: $*"
  trap forbid_services_undo EXIT
  forbid_services
  apt-cache show "$@" &>/dev/null || apt_get update
  if ! apt_get install "$@"; then
    say "the package lists may be old: fetching them, then once more"
    apt_get update
    apt_get install "$@"
  fi
  local name
  for name in "$@"; do
    if [[ -v service[$name] ]] && command -v systemctl >/dev/null; then
      as_root systemctl --quiet disable "${service[$name]}" || say "could not disable the service ${service[$name]}"
    fi
  done
}

apt_get() {
  local options=(-o DPkg::Lock::Timeout=120)
  [[ $1 != install ]] || options+=(--yes --no-install-recommends)
  as_root DEBIAN_FRONTEND=noninteractive apt-get --quiet "${options[@]}" "$@"
}

# Debian's own way to keep a package's service from being started while it is installed.
policy=/usr/sbin/policy-rc.d
forbid_services() {
  [[ -e $policy ]] && return
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
  policy_is_ours=yes
}
forbid_services_undo() {
  [[ ${policy_is_ours:-} != yes ]] || as_root rm -f "$policy"
}

# Whether dotted number $1 is not below $2.
at_least() {
  [[ $(printf '%s\n' "$2" "$1" | sort -V | head -1) == "$2" ]]
}

main "$@"
