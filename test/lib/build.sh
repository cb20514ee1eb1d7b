# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154 # verb and sdk are of run
# Build folders: which DPDK each is of, configuring and compiling. Sourced by run.

# What a build folder is made from: what pkg-config says of the DPDK that is meant.
dpdk_meant() {
	pkg-config --modversion libdpdk
	pkg-config --variable=pcfiledir libdpdk
	pkg-config --cflags --libs libdpdk
}

# Is build folder $1 set up, and with this DPDK? meson keeps what it once found: of one that was set up
# with another, or half, only what fuzz targets found stays. One that was set up by hand is believed.
configured() {
	local dir=$1
	if [ -e "$dir/build.ninja" ]; then
		[ -e "$dir/dpdk-meant" ] || dpdk_meant >"$dir/dpdk-meant"
		[ "$(dpdk_meant)" != "$(cat "$dir/dpdk-meant")" ] || return 0
		say "$dir/ was set up with another DPDK: anew"
	fi
	[ ! -d "$dir" ] || find "$dir" -mindepth 1 -maxdepth 1 ! -name corpus ! -name findings -exec rm -rf {} +
	return 1
}

# Configure build folder $1 once; the other arguments are meson options.
configure() {
	local dir=$1
	shift
	! configured "$dir" || return 0
	quiet build-sdk/meson.log meson setup "$dir" --werror "-Ddpdk_sdk=$sdk" "$@"
	dpdk_meant >"$dir/dpdk-meant"
}

# Run ninja; if descriptor 3 is a terminal, there is a line that counts up.
counting() {
	local line status=0
	[ -t 3 ] || {
		"$@"
		return
	}
	"$@" | while IFS= read -r line; do
		printf '%s\n' "$line"
		[[ $line != \[*/*\]* ]] || printf '\r%s: compiling %s]' "$verb" "${line%%]*}" >&3
	done || status=$?
	printf '\r\033[K' >&3
	return $status
}

# The same, then compile it.
compile() {
	local dir=$1
	configure "$@"
	# Of a folder for fuzz targets nothing else is wanted but, where lines are counted, unit tests.
	case $dir in
	*-fuzz) set -- fuzz ;;
	*-lines) set -- fuzz unit-programs ;;
	*) set -- ;;
	esac
	quiet build-sdk/ninja.log counting ninja -C "$dir" "$@" 3>&2
}

# The folder of pkg-config's file of the DPDK that is installed at $1, and of no other: neither of a build
# folder in a source tree nor of one that is installed further below.
dpdk_pkgconfig() {
	local prefix=$1 found other
	# lib64 may be lib.
	found=$(for file in "$prefix"/lib{,64}{,/*}/pkgconfig/libdpdk.pc; do
		[ ! -e "$file" ] || realpath "${file%/*}"
	done | sort -u)
	# shellcheck disable=SC2086 # a list in one line
	case $found in
	*$'\n'*) die "more than one DPDK is installed in $prefix:" $found ;;
	'') ;;
	*)
		echo "$found"
		return
		;;
	esac
	other=$(find "$prefix" -path '*/pkgconfig/libdpdk.pc' -print -quit 2>/dev/null) || true
	die "no DPDK is installed in $prefix (no libdpdk.pc in its lib/pkgconfig or" \
		"lib/ARCHITECTURE/pkgconfig)${other:+; further below there is $other}"
}

# Everything that follows uses the DPDK installed at $1 instead of the system's, in folders of its own: there may
# be others of its version.
use_dpdk() {
	local prefix=$1 pc version name
	pc=$(dpdk_pkgconfig "$prefix") || exit
	export PKG_CONFIG_PATH=$pc LD_LIBRARY_PATH=${pc%/pkgconfig} PATH="$prefix/bin:$PATH"
	version=$(pkg-config --modversion libdpdk)
	# A testpmd with DPDK inside cannot load a plugin that brings the shared libraries along.
	ldd "$prefix/bin/dpdk-testpmd" 2>/dev/null | grep -q librte_eal ||
		say "NOTICE: $prefix/bin/dpdk-testpmd does not use DPDK's shared libraries and can load no" \
			"plugin: only suite unit will work (build that DPDK with -Ddefault_library=shared)"
	name=$version-$(sha256sum <<<"$prefix" | head -c 8)
	build=build-dpdk-$name sdk=build-sdk/$name
	export HYPERPOLL_BUILD=$build HYPERPOLL_ASAN_BUILD=$build-asan HYPERPOLL_SDK=$sdk
	mkdir -p "$sdk"
	say "DPDK $version of $prefix, in $build/"
}
