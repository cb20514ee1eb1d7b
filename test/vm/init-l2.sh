#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
# First process of the guest: a shell for the person or the program at the serial console. Words of
# the kernel command line: load=MODULE,MODULE... (loaded in that order, after what they need; built-in
# ones have no file), shell (interactive), systemd (has the machine then, and runs this script as a service).
export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/opt:/root/bin
# busybox prefers its own applet to a program of the same name.
ip() { /bin/ip "$@"; }
# One command per line; the marker carries its exit status.
serve() {
	stty -echo -onlcr
	echo "@@ready"
	while IFS= read -r line; do
		eval "$line"
		echo "@@status $?"
	done
	poweroff -f
}
# systemd is the first process, and this a service of it.
[ $$ = 1 ] || serve
# With /proc, busybox's shell finds its applets without links; making these takes seconds.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
# The root of an initramfs is writable by all, and EAL loads no plugins below such a folder.
chmod 755 /
load='' shell='' systemd=''
read -r line </proc/cmdline
for word in $line; do
	case $word in
	load=*) load=${word#load=} ;;
	shell) shell=1 ;;
	systemd) systemd=1 ;;
	esac
done
IFS=,
read -r needed </modules/needed
for m in $needed $load; do
	[ ! -e "/modules/$m.ko" ] || insmod "/modules/$m.ko" || echo "init-l2: cannot load $m"
done
unset IFS
if [ "$shell" ]; then
	/bin/busybox --install -s /bin 2>/dev/null
	echo "Type 'poweroff -f' to end, or Ctrl-A x."
	[ ! -e /autorun ] || setsid cttyhack sh /autorun
	setsid cttyhack sh
	poweroff -f
fi
[ -z "$systemd" ] || exec /usr/lib/systemd/systemd
serve
