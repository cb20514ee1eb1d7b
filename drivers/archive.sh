#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# All objects of archive $2 as archive $3 of one object whose names are its own; $1 is a folder for
# intermediate files, the rest the compiler's command.
set -e
dir=$1 in=$2 out=$3
shift 3
mkdir -p "$dir"
"$@" -r -nostdlib -o "$dir/hyperpoll.o" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
# A name that is not there: no other stays global.
${OBJCOPY:-objcopy} --keep-global-symbol=none "$dir/hyperpoll.o"
rm -f "$out"
${AR:-ar} crs "$out" "$dir/hyperpoll.o"
