# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154 # build and sdk are of run
# Cross-building for another architecture of Debian. Sourced by run.
#
# Its libraries are unpacked, not installed: libdpdk-dev of two architectures cannot be on one machine.

# Debian's name of an architecture -> GNU's, and the emulator that runs its programs.
declare -A cross_triplets=([arm64]=aarch64-linux-gnu)
declare -A cross_cpus=([arm64]=aarch64)
cross_libraries=(libc6-dev libcunit1-dev libdpdk-dev libjson-c-dev libnuma-dev libpcap-dev)

# apt for architecture $1 with state of its own in $2; the machine's sources and keys.
cross_apt() {
	local arch=$1 dir=$2
	shift 2
	apt-get -q -y --no-install-recommends -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
		-o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir/cache" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}

# Unpack the libraries of architecture $1 in folder $2, once.
cross_sysroot() {
	local arch=$1 dir=$2 state link package
	[ ! -e "$dir/.complete" ] || return 0
	say "unpacking the libraries of $arch into ${dir#"$PWD"/}"
	rm -rf "$dir"
	state=$dir.apt
	rm -rf "$state"
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	: >"$state/status"
	if ! cross_apt "$arch" "$state" update >build-sdk/cross.log 2>&1 ||
		! cross_apt "$arch" "$state" install --download-only "${cross_libraries[@]}" \
			>>build-sdk/cross.log 2>&1; then
		tail -n 20 build-sdk/cross.log >&2
		die "the libraries of $arch cannot be had from this machine's package sources" \
			"(all of it: build-sdk/cross.log)"
	fi
	# As in an installed system, whose packages say both /lib and /usr/lib.
	for link in bin lib sbin; do
		mkdir -p "$dir/usr/$link"
		ln -s "usr/$link" "$dir/$link"
	done
	for package in "$state"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$package" | tar x --keep-directory-symlink --no-same-owner -C "$dir" \
			--exclude=./dev --exclude='./usr/share/doc' --exclude='./usr/share/man'
	done
	rm -rf "$state"
	touch "$dir/.complete"
}

# Write meson's cross file for architecture $1 with the libraries in $2.
cross_file() {
	local arch=$1 dir=$2 triplet=${cross_triplets[$1]} cpu=${cross_cpus[$1]}
	cat <<-END
	[binaries]
	c = '$triplet-gcc'
	ar = '$triplet-ar'
	strip = '$triplet-strip'
	pkgconfig = 'pkg-config'
	exe_wrapper = ['qemu-$cpu', '-L', '$dir']
	[properties]
	sys_root = '$dir'
	pkg_config_libdir = ['$dir/usr/lib/$triplet/pkgconfig', '$dir/usr/share/pkgconfig']
	[built-in options]
	c_args = ['--sysroot=$dir']
	c_link_args = ['--sysroot=$dir']
	[host_machine]
	system = 'linux'
	cpu_family = '$cpu'
	cpu = '$cpu'
	endian = 'little'
	END
}

# Compile everything for architecture $1 into build-$1/.
cross_build() {
	local arch=$1 dir=$PWD/.cache/sysroot-$1
	[ -n "${cross_triplets[$arch]-}" ] ||
		die "cross-building is tried for: ${!cross_triplets[*]}; not '$arch'"
	do_setup build test "cross-$arch"
	cross_sysroot "$arch" "$dir"
	cross_file "$arch" "$dir" >"build-sdk/cross-$arch.ini"
	echo "build: compiling into build-$arch/, with ${cross_triplets[$arch]}-gcc"
	# For drivers/archive.sh, which meson gives no tools of its cross file.
	OBJCOPY=${cross_triplets[$arch]}-objcopy AR=${cross_triplets[$arch]}-ar \
		compile "build-$arch" --cross-file "build-sdk/cross-$arch.ini"
	say "build-$arch/app/hvsim/hvsim, build-$arch/drivers/librte_hyperpoll.so"
}

# Tests that qemu's user mode cannot run, and why.
cross_no_aio="it has no asynchronous I/O (io_setup), which signals eventfds"
declare -A cross_unable=(
	[host_port_tap]="it has no setsockopt(SOL_PACKET, PACKET_VNET_HDR)"
	[hvsim_session]=$cross_no_aio
	[hvsim_share]=$cross_no_aio
	[hvsim_watch]=$cross_no_aio
	[netvsc_intr]=$cross_no_aio
	[netvsc_mtu]=$cross_no_aio
	[netvsc_recover]=$cross_no_aio
	[netvsc_recover_midway]=$cross_no_aio
	[recv_keep]="its mremap() makes no second mapping of shared memory"
	[vfio_backend_connect]=$cross_no_aio
	[vfio_backend_wait]=$cross_no_aio
	[vfio_user_client]=$cross_no_aio
	[vfio_user_commands]=$cross_no_aio
	[vfio_user_patience]=$cross_no_aio
	[vfio_user_server]=$cross_no_aio
	[vfio_user_signal]=$cross_no_aio
)

# Run the unit tests of build-$1/ that are compiled, and say which are left out.
cross_test() {
	local dir=build-$1 name names=()
	# What scripts test is of no machine, but for vmbusctl, which they run by the exe_wrapper.
	for name in $(meson test -C "$dir" --no-rebuild --suite unit --no-suite script --list 2>/dev/null |
		sed 's|.* / ||' | sort) vmbusctl; do
		if [ -n "${cross_unable[$name]-}" ]; then
			echo "skip $1 $name: ${cross_unable[$name]}"
		else
			names+=("$name")
		fi
	done
	meson test -C "$dir" --no-rebuild --suite unit -t 10 --print-errorlogs "${names[@]}" >"$dir/unit.log" 2>&1 ||
		tail -n 200 "$dir/unit.log"
	python3 test/lib/unit_summary.py "$dir/meson-logs/testlog.json"
}
