#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
# First process of the emulated machine: loads KVM, mounts what /mounts lists (see mounts.py) below
# /host, and runs the script named in /job there. Powers off when that ends. With /systemd the root can be
# written to (and forgets it), systemd has the machine, and the script is a service of it.
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
at=/host
while read -r kind what mode path; do
	$B mkdir -p "$at$path"
	case $kind in
	9p) $B mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$mode" "$what" "$at$path" ;;
	bind) $B mount -o bind "$what" "$at$path" ;;
	*) $B mount -t "$kind" "$what" "$at$path" ;;
	esac || echo "init-l1: cannot mount $what at $path"
	if [ "$path" = / ] && [ -e /systemd ]; then
		$B mkdir -p /changes /new
		$B mount -t tmpfs tmpfs /changes
		$B mkdir -p /changes/upper /changes/work
		$B mount -t overlay -o lowerdir=/host,upperdir=/changes/upper,workdir=/changes/work overlay /new
		at=/new
	fi
done </mounts
$B ifconfig lo up
read -r job </job
if [ -e /systemd ]; then
	# What is enabled on the machine that shows its files is no matter here; nor is what it runs in. Devices
	# are there already.
	$B rm -rf /new/etc/systemd/system /new/.dockerenv
	$B mkdir -p /new/etc/systemd/system /new/etc/tmpfiles.d /new/run/systemd/system
	for m in udev-trigger random-seed update-utmp; do
		$B ln -s /dev/null /new/etc/systemd/system/systemd-$m.service
	done
	$B ln -s /dev/null /new/etc/tmpfiles.d/tmp.conf
	$B cp /systemd/* /new/run/systemd/system/
	exec $B switch_root /new /lib/systemd/systemd
fi
$B chroot /host /bin/sh "$job"
echo "init-l1: job ended with status $?"
$B sync
$B poweroff -f
