#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
# First process of the emulated machine: loads KVM, mounts what /mounts lists (see mounts.py) below
# /host, and runs the script named in /job there. Powers off when that ends.
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
	# shellcheck disable=SC2086 # no word when it is empty
	$B insmod "/modules/$m.ko" $o || echo "init-l1: cannot load $m"
done </modules/order
while read -r kind what mode path; do
	$B mkdir -p "/host$path"
	case $kind in
	9p) $B mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$mode" "$what" "/host$path" ;;
	bind) $B mount -o bind "$what" "/host$path" ;;
	*) $B mount -t "$kind" "$what" "/host$path" ;;
	esac || echo "init-l1: cannot mount $what at $path"
done </mounts
$B ifconfig lo up
read -r job </job
$B chroot /host /bin/sh "$job"
echo "init-l1: job ended with status $?"
$B sync
$B poweroff -f
