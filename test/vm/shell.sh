#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An interactive guest for people: shell.sh [--build DIR] [--kernel VERSION] [testpmd]. eth0 is on a TAP (10.9.0.1 is
# its other end); with "testpmd" the NIC is on uio_hv_generic and testpmd answers pings.
exec python3 -B "$(dirname "$(readlink -f "$0")")/shell.py" "$@"
