#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Check the model of the ring's signalling and that each mutant of it fails (ring.pml has the list).
# Usage: run.sh            about 15 s; exit 0 when all is as expected, 77 without spin
#        run.sh -DM_NO_P3  one variant, verbose, with the trail of what went wrong
set -u
model=$(cd "$(dirname "$0")" && pwd)/ring.pml
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

for tool in spin gcc; do
	if ! command -v "$tool" >/dev/null; then
		echo "run.sh: $tool is not installed (Debian: apt install spin gcc)" >&2
		exit 77
	fi
done

# verify OPTIMISATION DEFINE...: leaves pan's report in ./report; 0: holds, 1: fails, 2: no verdict.
verify() {
	local opt=$1
	shift
	rm -f pan ./*.trail
	spin -a "$@" "$model" >report 2>&1 || return 2
	gcc "$opt" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>report 2>&1 || return 2
	timeout 60 ./pan -m100000 >>report 2>&1
	grep -qE 'max search depth|out of memory|resource limit' report && return 2
	grep -qE '^pan:[0-9]+: (assertion violated|invalid end state)' report && return 1
	grep -q 'errors: 0' report && return 0
	return 2
}

if [ $# -gt 0 ]; then
	verify -O1 "$@"
	verdict=$?
	cat report
	[ -f ring.pml.trail ] && cp "$model" . && spin -t -p -g -l "$@" ring.pml | tail -n 80
	exit $verdict
fi

bad=0
# check EXPECTED LABEL OPTIMISATION DEFINE...
check() {
	local expected=$1 label=$2
	shift 2
	verify "$@"
	local verdict=$? word=(holds fails "no verdict") note=ok
	if [ $verdict -ne "$expected" ]; then
		note="NOT EXPECTED"
		bad=1
		tail -n 20 report
	fi
	printf '%-28s %-10s %8s states  %s\n' "$label" "${word[verdict]}" \
		"$(awk '/states, stored/ {print $1}' report)" "$note"
}

for size in '-DK=3 -DN=5' '-DK=4 -DN=6' '-DK=5 -DN=8'; do
	# shellcheck disable=SC2086
	check 0 "total store order ${size//-D/}" -O1 $size -DTSO
	# shellcheck disable=SC2086
	check 0 "weak order ${size//-D/}" -O1 $size
done
for mutant in NO_P3 NO_I3 NO_F3 NO_C3 NO_I4 NO_F4 LATE_R FIRST_OLD LAST_OLD FILL CURRENT_W; do
	check 1 "mutant $mutant" -O0 "-DM_$mutant" -DTSO
done
check 1 "mutant RELAXED_W" -O0 -DM_RELAXED_W
exit $bad
