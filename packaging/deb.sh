# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Debian packages of this tree (debian/). Sourced by run.

deb_dir=build-deb

do_deb() {
	[ $# = 0 ] || die "deb has no arguments; DPDK_SDK in the environment names a DPDK tree"
	local version tree
	version=$(sed -nE "s/^project.* version: '([^']+)'.*/\1/p" meson.build)
	tree=$deb_dir/hyperpoll-$version
	echo "deb: Debian packages of hyperpoll $version for the DPDK that is installed, out of the tree as" \
		"it is, in $deb_dir/; missing build tools are installed first, the packages are not"
	mkdir -p build-sdk
	setup_packages build deb
	setup_sdk offline
	rm -rf "$deb_dir"
	mkdir -p "$tree"
	tree_files | tar c --null --no-recursion --ignore-failed-read -T - | tar x --no-same-owner -C "$tree"
	say "compiling in $tree/"
	(
		[ ! -e "$sdk/VERSION" ] || DPDK_SDK=$(realpath "$sdk")
		cd "$tree"
		export DPDK_SDK="${DPDK_SDK-}"
		quiet ../../build-sdk/deb.log dpkg-buildpackage --build=binary --no-sign --unsigned-changes
	)
	quiet build-sdk/lintian.log lintian --fail-on error,warning --allow-root "$deb_dir"/*.changes
	say "lintian has nothing against them"
	for package in "$deb_dir"/*.deb; do
		[[ $package == *-dbgsym_* ]] || say "$package"
	done
	say "apt-get install ./$deb_dir/librte-hyperpoll_*.deb ./$deb_dir/hyperpoll-tools_*.deb"
}
