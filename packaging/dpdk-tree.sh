# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Our bus and PMD as a driver of a DPDK source tree. Sourced by run.
#
# Both are one driver there, net/netvsc: the bus exports nothing, and needs no ABI of its own. DPDK's own
# two are kept beside, in folders that no meson.build names.
dpdk_tree_parts=(drivers/bus/vmbus drivers/net/netvsc lib/vmbus lib/netvsp lib/trace lib/vfio_user)
dpdk_tree_kept=in-tree

# Give DPDK's own drivers back to tree $1.
dpdk_tree_undo() {
	local own
	for own in "$1/drivers/bus/vmbus" "$1/drivers/net/netvsc"; do
		[ -d "$own.$dpdk_tree_kept" ] || continue
		rm -rf "$own"
		mv "$own.$dpdk_tree_kept" "$own"
	done
}

do_dpdk-tree() {
	local dir='' undo='' bus net part version
	while [ $# != 0 ]; do
		case $1 in
		--undo) undo=1 ;;
		-*) die "dpdk-tree has no option '$1': DIR, --undo" ;;
		*)
			[ -z "$dir" ] || die "one DPDK source tree at a time, not also '$1'"
			dir=$(cd "$here" && realpath -e "$1" 2>/dev/null) || die "there is no folder '$1'"
			;;
		esac
		shift
	done
	[ -n "$dir" ] || die "which DPDK source tree?"
	bus=$dir/drivers/bus/vmbus net=$dir/drivers/net/netvsc
	# shellcheck disable=SC2015
	[ -e "$dir/lib/eal/include/bus_driver.h" ] && [ -d "$bus" ] && [ -d "$net" ] ||
		die "$dir is no source tree of DPDK 22.11 or newer with drivers/bus/vmbus and drivers/net/netvsc"
	version=$(cat "$dir/VERSION")
	if [ -n "$undo" ]; then
		[ -d "$net.$dpdk_tree_kept" ] || die "$dir has DPDK's own drivers"
		dpdk_tree_undo "$dir"
		say "$dir has its own drivers/bus/vmbus and drivers/net/netvsc again"
		return
	fi
	# Once more: whatever is new here.
	dpdk_tree_undo "$dir"
	for part in "$bus" "$net"; do
		mv "$part" "$part.$dpdk_tree_kept"
		mkdir "$part"
	done
	for part in "${dpdk_tree_parts[@]}"; do
		mkdir -p "$net/hyperpoll/$part"
		cp "$part"/*.[ch] "$net/hyperpoll/$part/"
	done
	cp LICENSE "$net/hyperpoll/"
	cp packaging/dpdk/{bus_vmbus_driver.h,rte_bus_vmbus.h} "$net/"
	cp packaging/dpdk/bus.meson.build "$bus/meson.build"
	{
		cat packaging/dpdk/net.meson.build
		echo "sources = files("
		(cd "$net" && find hyperpoll -name '*.c' -printf "        '%p',\n" | LC_ALL=C sort)
		echo ")"
	} >"$net/meson.build"
	say "DPDK $version in $dir has hyperpoll for drivers/net/netvsc, bus vmbus included; its own two are" \
		"beside, in vmbus.$dpdk_tree_kept and netvsc.$dpdk_tree_kept (./run dpdk-tree $dir --undo)"
	say "it needs json-c's headers; configure it anew where it was configured: meson setup --reconfigure"
}
