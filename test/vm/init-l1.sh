#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# First process of the emulated machine: loads KVM, shows the host's file system read-only, and
# runs job.sh of the folder that is shared for writing. Powers off when that ends.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
npt=1
for word in $($B cat /proc/cmdline); do
	case $word in
	npt=*) npt=${word#npt=} ;;
	esac
done
while read -r m; do
	o=
	[ "$m" != kvm-amd ] || o=npt=$npt
	$B insmod "/modules/$m.ko" $o || echo "init-l1: cannot load $m"
done </modules/order
$B mkdir -p /host
o=trans=virtio,version=9p2000.L,msize=262144
$B mount -t 9p -o "$o,ro,cache=loose" root /host || echo "init-l1: cannot mount the host"
for d in proc sys dev; do $B mount -o bind "/$d" "/host/$d"; done
for d in tmp run root mnt; do $B mount -t tmpfs tmpfs "/host/$d"; done
$B mkdir -p /host/dev/shm /host/mnt/job
$B mount -t tmpfs tmpfs /host/dev/shm
$B mount -t 9p -o "$o" job /host/mnt/job || echo "init-l1: cannot mount the job"
$B ifconfig lo up
$B chroot /host /bin/sh /mnt/job/job.sh
echo "init-l1: job ended with status $?"
$B sync
$B poweroff -f
