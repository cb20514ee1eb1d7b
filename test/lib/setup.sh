# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What ./run setup does: Debian packages, the driver SDK headers, hugepages. Sourced by run.

# What each verb needs. No name carries an ABI or compiler version, so that the lists hold for every
# Debian release: libdpdk-dev depends on all of DPDK's libraries, buses, mempool and network drivers.
declare -A packages=(
	[build]="meson ninja-build gcc pkg-config dpkg-dev xz-utils python3
		libdpdk-dev libjson-c-dev libncurses-dev libnuma-dev libpcap-dev"
	[demo]="dpdk dpdk-dev iproute2 iputils-ping procps util-linux"
	[test]="busybox-static clang clang-format iperf3 libclang-rt-dev dpdk-doc libcunit1-dev libsystemd-dev llvm
		make man-db pandoc python3-pyte spin systemd tshark zsh"
	[bench]="gnuplot-nox valgrind"
	[vm]="qemu-system-x86 linux-image-amd64 cpio kmod ethtool socat"
	[lint]="clang-tidy cppcheck g++ pyflakes3 shellcheck"
	[cross-arm64]="gcc-aarch64-linux-gnu qemu-user"
	[suricata]="suricata"
	[ovs]="openvswitch-switch-dpdk"
	[deb]="build-essential debhelper dh-python fakeroot lintian pandoc"
	[packages]="buildah debootstrap python3-pyelftools rpm"
	[doc]="pandoc"
)

hugepages_wanted=512
hugepages_dir=/sys/kernel/mm/hugepages/hugepages-2048kB

say() { echo "$verb: $*"; }
die() {
	echo "$verb: error: $*" >&2
	exit 1
}

# The commit that the working tree is at, and whether it is just that; nothing outside a checkout.
revision() { git -c safe.directory='*' describe --always --dirty --exclude '*' 2>/dev/null || true; }

# The files of the working tree as it is, without what builds left; each ends with a zero byte.
tree_files() {
	git -c safe.directory='*' ls-files -z --cached --others --exclude-standard 2>/dev/null ||
		find . -path ./.git -prune -o -path './build*' -prune -o -path ./.cache -prune -o \
			-name __pycache__ -prune -o ! -type d -printf '%P\0'
}

# Run a command as root, without ever asking for a password. sudo drops the environment, in which
# stand the DPDK that is meant (use_dpdk) and what the tests are told.
as_root() {
	local name kept=("PATH=$PATH")
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		for name in "${!HYPERPOLL_@}" DPDK_SDK LD_LIBRARY_PATH PKG_CONFIG_PATH; do
			[ -z "${!name-}" ] || kept+=("$name=${!name}")
		done
		sudo -n env "${kept[@]}" "$@"
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

# On a terminal, one line that counts up: apt reports "dlstatus:" and "pmstatus:" lines with a
# percentage each. Elsewhere nothing.
apt_progress() {
	local kind rest
	while IFS=: read -r kind _ rest; do
		case $kind in
		dlstatus) printf '\r%s: downloading %3.0f %%' "$verb" "${rest%%:*}" ;;
		pmstatus) printf '\r%s: installing  %3.0f %%' "$verb" "${rest%%:*}" ;;
		esac
	done
	printf '\r\033[K'
}

# Run apt-get with its output in build-sdk/apt.log.
apt_get() {
	local options=(-q -y --no-install-recommends -o DPkg::Lock::Timeout=300)
	if [ -t 2 ] && as_root true; then
		{ as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" \
			-o APT::Status-Fd=1 "$@" 2>&1 | tee -a build-sdk/apt.log | LC_ALL=C apt_progress >&2; } ||
			return "${PIPESTATUS[0]}"
	else
		as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@" \
			>>build-sdk/apt.log 2>&1
	fi
}

# Install what the named sets of packages lack.
setup_packages() {
	local missing=() all='' p set
	for set in "$@"; do
		all+=" ${packages[$set]}"
	done
	for p in $all; do
		[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null)" = 'ii ' ] || missing+=("$p")
	done
	if [ ${#missing[@]} = 0 ]; then
		say "all Debian packages for $* are installed"
		return
	fi
	as_root true || die "packages are missing and this is neither root nor sudo without a" \
		"password. Install them: apt-get install --no-install-recommends ${missing[*]}"
	say "installing ${missing[*]}"
	: >build-sdk/apt.log
	if ! apt_get install "${missing[@]}"; then
		# Never updated, or too long ago.
		say "updating the package lists"
		if ! apt_get update || ! apt_get install "${missing[@]}"; then
			tail -n 20 build-sdk/apt.log >&2
			die "the packages cannot be installed (all of it: build-sdk/apt.log)"
		fi
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

# The release series of a DPDK version: 22.11.3 -> 22.11. Internal structures do not change within.
dpdk_series() { sed -nE 's/^v?([0-9]+\.[0-9]+).*/\1/p' <<<"$1"; }

# Copy the driver headers and VERSION out of DPDK tree $1 to folder $2. VERSION says that they are there: it
# goes first and comes last, here and below.
copy_sdk() {
	rm -f "$2/VERSION"
	cp "$1"/lib/eal/include/{bus_driver.h,dev_driver.h} "$1/lib/ethdev/ethdev_driver.h" "$2/"
	cp "$1/VERSION" "$2/"
}

# The driver headers of git checkout or repository $1 at its newest tag of series $2, the installed
# version $3 before others, to folder $4. @return 1 when it has none
git_sdk() {
	local git=(git -c safe.directory='*' -C "$1") series=$2 installed=$3 sdk=$4 tag file
	command -v git >/dev/null || { say "installing git" && : >build-sdk/apt.log && apt_get install git; } ||
		die "DPDK_SDK=$1 looks like a git repository and git is not installed"
	tag=$("${git[@]}" tag --list "v$installed" "v$series" "v$series.*" 2>/dev/null | grep -v rc |
		sort -V | awk -v want="v$installed" '{last = $0} $0 == want {found = $0} END {print found ? found : last}')
	[ -n "$tag" ] || return 1
	rm -f "$sdk/VERSION"
	for file in lib/eal/include/bus_driver.h lib/eal/include/dev_driver.h lib/ethdev/ethdev_driver.h \
		VERSION; do
		"${git[@]}" show "$tag:$file" >"$sdk/${file##*/}" || return 1
	done
}

# The headers of DPDK_SDK, whichever form it has, in $sdk/.
user_sdk() {
	local dir=$1 series=$2 installed=$3 header
	if [ "$(dpdk_series "$(cat "$dir/VERSION" 2>/dev/null)")" = "$series" ]; then
		if [ -d "$dir/lib/ethdev" ]; then
			copy_sdk "$dir" "$sdk"
		else
			rm -f "$sdk/VERSION"
			for header in bus_driver.h dev_driver.h ethdev_driver.h VERSION; do
				cp "$dir/$header" "$sdk/"
			done
		fi
	elif ! git_sdk "$dir" "$series" "$installed" "$sdk"; then
		die "DPDK_SDK=$dir has no driver headers of DPDK $series (its VERSION says" \
			"$(cat "$dir/VERSION" 2>/dev/null || echo nothing)): name a tree or git checkout of DPDK $installed"
	fi
}

# The driver headers out of source packages of this machine's sources: of version $1 or, failing
# that, of another release of series $2, in folder $3.
package_sdk() (
	version=$1 series=$2 into=$3
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial" "$work/get"
	source_entries "$work/sources"
	# apt with these sources only; its permanent configuration and lists stay as they are.
	apt_source() {
		local tool=$1
		shift
		(cd "$work/get" && "$tool" -q -o Dir::Etc::sourcelist=/dev/null \
			-o Dir::Etc::sourceparts="$work/sources" -o Dir::State::lists="$work/lists" \
			-o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "$@")
	}
	# One repository without sources must not matter as long as another has them.
	apt_source apt-get update >"$into/source.log" 2>&1 || true
	offered=$(apt_source apt-cache showsrc dpdk 2>>"$into/source.log" | sed -n 's/^Version: //p' | sort -urV)
	for candidate in $version $offered; do
		[ "$(dpdk_series "$candidate")" = "$series" ] || continue
		apt_source apt-get source --download-only "dpdk=$candidate" >>"$into/source.log" 2>&1 || continue
		mkdir -p "$work/tree"
		tar -C "$work/tree" --strip-components=1 --wildcards -xf "$work"/get/dpdk_*.orig.tar.* \
			'*/VERSION' '*/lib/eal/include/bus_driver.h' '*/lib/eal/include/dev_driver.h' \
			'*/lib/ethdev/ethdev_driver.h'
		copy_sdk "$work/tree" "$into"
		return
	done
	return 1
)

# The driver headers of the installed DPDK, wherever they can be had, in $sdk/. Layouts are the
# same within a series (YY.MM), so its other releases will do; the plugin checks the series again
# when it is loaded. With $1 "offline" nothing is fetched.
setup_sdk() {
	local how=${1-} installed series have
	installed=$(pkg-config --modversion libdpdk) || die "libdpdk has no pkg-config file"
	series=$(dpdk_series "$installed")
	if [ -z "${DPDK_SDK-}" ] &&
		[ -e "$(pkg-config --variable=includedir libdpdk)/ethdev_driver.h" ]; then
		say "DPDK $installed is installed with its driver SDK headers"
		return
	fi
	have=$(cat "$sdk/VERSION" 2>/dev/null) || have=
	if [ -n "${DPDK_SDK-}" ]; then
		user_sdk "$DPDK_SDK" "$series" "$installed"
	elif [ "$how" = offline ]; then
		[ "$(dpdk_series "$have")" = "$series" ] ||
			die "there are no driver headers of DPDK $installed here, and this is done without network:" \
				"./run setup fetches them once, or name a DPDK tree or git checkout of series $series:" \
				"DPDK_SDK=DIR ./run $verb"
	elif [ "$have" != "$installed" ]; then
		say "fetching the driver SDK headers of DPDK $installed from its source package"
		package_sdk "$(dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null)" "$series" "$sdk" ||
			[ "$(dpdk_series "$have")" = "$series" ] || {
			tail -n 5 "$sdk/source.log" >&2
			die "no source of DPDK $series can be had from this machine's package sources ($installed is" \
				"installed): name a DPDK tree or git checkout of that series: DPDK_SDK=DIR ./run $verb" \
				"(log: $sdk/source.log)"
		}
	fi
	have=$(cat "$sdk/VERSION")
	if [ "$have" = "$installed" ]; then
		say "driver SDK headers of DPDK $installed are in $sdk/"
	else
		say "NOTICE: driver SDK headers of DPDK $have for DPDK $installed: the same series, it will do"
	fi
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
