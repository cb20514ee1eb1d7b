# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Another Debian release beside this one, for trying its DPDK. Sourced by run.

# The codename of Debian release $1 ("12", "13", "testing" or a codename); "12-NAME" is another folder of it.
chroot_codename() {
	case ${1%%-*} in
	12) echo bookworm ;;
	13) echo trixie ;;
	*[!a-z]* | '') die "there is no Debian release '$1': 12, 13, testing, or a codename" ;;
	*) echo "${1%%-*}" ;;
	esac
}

# Folder of release $1, made from this machine's own package mirror when it is not there yet.
chroot_make() {
	local codename dir mirror script=/usr/share/debootstrap/scripts
	codename=$(chroot_codename "$1")
	dir=.cache/chroot-$1
	if [ ! -e "$dir/.complete" ]; then
		# shellcheck disable=SC2016 # apt expands it
		mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' |
			awk '$2 == "Debian" && $1 !~ /security/ {print $1; exit}')
		[ -n "$mirror" ] || die "this machine has no package sources of Debian"
		command -v debootstrap >/dev/null || { : >build-sdk/apt.log && apt_get install debootstrap; } ||
			die "debootstrap is needed: apt-get install debootstrap"
		# A debootstrap older than the release has no script of its name; they are all the same.
		[ -e "$script/$codename" ] && script+=/$codename || script+=/sid
		say "unpacking Debian $codename into $dir"
		# What one that was interrupted has left is root's; nothing that is still mounted there goes with it.
		as_root rm -rf --one-file-system "$dir"
		mkdir -p "$dir"
		quiet build-sdk/chroot.log as_root debootstrap --variant=minbase \
			--include=ca-certificates "$codename" "$dir" "$mirror" "$script"
		as_root touch "$dir/.complete"
	fi
}

# Run a command in the checkout's copy below Debian's folder $1 (/hyperpoll there), with the machine's
# devices and nothing left mounted. DPDK_SDK comes along.
chroot_run() {
	local dir=$1 name=${1##*/chroot-}
	shift
	[ "$name" != "$dir" ] || name=DIR
	# What an earlier run built there stays.
	as_root mkdir -p "$dir/hyperpoll" "$dir/dpdk-sdk"
	tree_files |
		tar c --null --no-recursion --ignore-failed-read -T - | as_root tar x --no-same-owner -C "$dir/hyperpoll"
	# shellcheck disable=SC2016 # expanded inside
	as_root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM-dumb}" \
		HYPERPOLL_COMMAND="./run chroot $name $*" HYPERPOLL_REVISION="$(revision)" \
		unshare --mount sh -ec '
			dir=$1 sdk=$2
			shift 2
			# "ip netns exec" wants a root folder that is a mount of its own.
			mount --bind "$dir" "$dir"
			mount -t proc proc "$dir/proc"
			for name in sys dev run; do
				mount --rbind "/$name" "$dir/$name"
			done
			cp /etc/resolv.conf "$dir/etc/" 2>/dev/null || true
			if [ -n "$sdk" ]; then
				mount --bind "$sdk" "$dir/dpdk-sdk"
				export DPDK_SDK=/dpdk-sdk
			fi
			exec chroot "$dir" sh -ec "cd /hyperpoll; exec \"\$@\"" sh "$@"
		' sh "$dir" "${DPDK_SDK-}" "$@"
}
