# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What ./run setup does: Debian packages, the driver SDK headers, hugepages. Sourced by run.

# Compilers, libraries and DPDK. The dpdk packages only recommend what testpmd needs at run time,
# so the buses, the mempool driver and the peers of the tests are named too.
packages_base=(
	meson ninja-build gcc clang clang-format libclang-rt-14-dev pkg-config dpkg-dev xz-utils python3
	dpdk dpdk-dev dpdk-doc libdpdk-dev
	librte-mempool-ring23 librte-bus-pci23 librte-bus-vdev23 librte-bus-vmbus23
	librte-net-netvsc23 librte-net-pcap23 librte-net-tap23
	libcunit1-dev libjson-c-dev libnuma-dev libpcap-dev
	tshark iproute2 iputils-ping procps util-linux
)
# A Linux guest for the vm suite.
packages_vm=(qemu-system-x86 linux-image-amd64 busybox-static cpio kmod ethtool socat)

hugepages_wanted=512
hugepages_dir=/sys/kernel/mm/hugepages/hugepages-2048kB

say() { echo "$verb: $*"; }
die() {
	echo "$verb: error: $*" >&2
	exit 1
}

# Run a command as root, without ever asking for a password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 126
	fi
}

as_root_if_possible() {
	if as_root true; then
		as_root "$@"
	else
		"$@"
	fi
}

# Run a command with its output in a log that is shown only when the command fails.
quiet() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 && return
	local status=$?
	tail -n 60 "$log" >&2
	echo "(all of it: $log)" >&2
	return $status
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 install "$@"
}

setup_packages() {
	local missing=() p
	for p in "${packages_base[@]}" "${packages_vm[@]}"; do
		[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" = 'ii ' ] || missing+=("$p")
	done
	if [ ${#missing[@]} = 0 ]; then
		say "all $((${#packages_base[@]} + ${#packages_vm[@]})) Debian packages are installed"
		return
	fi
	grep -qs '^VERSION_ID="12"' /etc/os-release ||
		say "note: the package names are those of Debian 12, which this is not"
	as_root true || die "packages are missing and this is neither root nor sudo without a" \
		"password. Install them: apt-get install --no-install-recommends ${missing[*]}"
	say "installing ${missing[*]}"
	if ! apt_install "${missing[@]}" >build-sdk/apt.log 2>&1; then
		# Never updated, or too long ago.
		say "updating the package lists"
		quiet build-sdk/apt.log as_root apt-get -q -o DPkg::Lock::Timeout=300 update
		quiet build-sdk/apt.log apt_install "${missing[@]}"
	fi
}

# The machine's own package sources as source-code entries, in folder $1: both the one-line and
# the deb822 form, with their options and keys.
source_entries() {
	local dir=$1 LIST=/etc/apt/sources.list PARTS=/etc/apt/sources.list.d f
	eval "$(apt-config shell LIST Dir::Etc::sourcelist/f PARTS Dir::Etc::sourceparts/d)"
	for f in "$LIST" "$PARTS"/*.list; do
		[ ! -r "$f" ] || sed -nE 's/^[[:space:]]*deb(-src)?([[:space:]])/deb-src\2/p' "$f"
	done | sort -u >"$dir/machine.list"
	for f in "$PARTS"/*.sources; do
		[ ! -r "$f" ] || sed -E 's/^Types:.*/Types: deb-src/I' "$f" >"$dir/${f##*/}"
	done
}

# The three headers and VERSION of source package version $1, in folder $2.
fetch_sdk() (
	version=$1 sdk=$2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial" "$work/get"
	source_entries "$work/sources"
	# apt with these sources only; its permanent configuration and lists stay as they are.
	apt_source() {
		(cd "$work/get" && apt-get -q -o Dir::Etc::sourcelist=/dev/null \
			-o Dir::Etc::sourceparts="$work/sources" -o Dir::State::lists="$work/lists" \
			-o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "$@")
	}
	{
		# One repository without sources must not matter as long as another has them.
		apt_source update || true
		apt_source source --download-only "dpdk=$version"
	} >"$sdk/source.log" 2>&1 || {
		tail -n 5 "$sdk/source.log" >&2
		die "the package sources of this machine do not offer the source of the installed DPDK" \
			"($version). Upgrade DPDK (apt-get update && apt-get install dpdk dpdk-dev dpdk-doc" \
			"libdpdk-dev) and run ./run setup again, or unpack that source yourself and name" \
			"its folder: DPDK_SDK=DIR ./run build (log: $sdk/source.log)"
	}
	mkdir "$work/tree"
	tar -C "$work/tree" --strip-components=1 --wildcards -xf "$work"/get/dpdk_*.orig.tar.* \
		'*/VERSION' '*/lib/eal/include/bus_driver.h' '*/lib/eal/include/dev_driver.h' \
		'*/lib/ethdev/ethdev_driver.h'
	cp "$work"/tree/lib/*/include/*_driver.h "$work"/tree/lib/ethdev/ethdev_driver.h \
		"$work/tree/VERSION" "$sdk/"
)

setup_sdk() {
	local installed source_version
	installed=$(pkg-config --modversion libdpdk) || die "libdpdk has no pkg-config file"
	if [ -n "${DPDK_SDK-}" ]; then
		say "driver SDK headers from DPDK_SDK=$DPDK_SDK"
		return
	fi
	if [ -e "$(pkg-config --variable=includedir libdpdk)/ethdev_driver.h" ]; then
		say "DPDK $installed is installed with its driver SDK headers"
		return
	fi
	if [ "$(cat build-sdk/VERSION 2>/dev/null)" != "$installed" ]; then
		source_version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev)
		say "fetching the driver SDK headers of DPDK $source_version from its source package"
		fetch_sdk "$source_version" build-sdk
		[ "$(cat build-sdk/VERSION)" = "$installed" ] || die "the source package $source_version" \
			"says it is DPDK $(cat build-sdk/VERSION), but pkg-config says $installed"
	fi
	say "driver SDK headers of DPDK $installed are in build-sdk/"
}

setup_hugepages() {
	local have
	have=$(cat $hugepages_dir/nr_hugepages 2>/dev/null) || have=0
	if [ "$have" -lt $hugepages_wanted ]; then
		as_root sh -c "echo $hugepages_wanted >$hugepages_dir/nr_hugepages" 2>/dev/null || true
		have=$(cat $hugepages_dir/nr_hugepages 2>/dev/null) || have=0
	fi
	if [ "$have" -lt $hugepages_wanted ]; then
		say "only $have of $hugepages_wanted hugepages of 2 MiB: DPDK will run with --no-huge"
	else
		say "$have hugepages of 2 MiB are reserved (used with --in-memory, nothing is mounted)"
	fi
}
