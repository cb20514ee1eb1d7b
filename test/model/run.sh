#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Check models and that each of their mutants fails: a mutant that holds is an error, and so is one that
# is in the model and not below. Each model says in its head what it shows and has the list.
# Usage: run.sh [MODEL...]          all (ring, receive, vf) when none is named: about a minute; exit 0
#                                   when all is as expected, 77 without spin
#        run.sh MODEL -DM_NO_P3...  one variant, verbose, with the trail of what went wrong
set -u
models=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
cp "$models"/*.pml "$models"/*.h . || exit 1

for tool in spin gcc; do
	if ! command -v "$tool" >/dev/null; then
		echo "run.sh: $tool is not installed (Debian: apt install spin gcc)" >&2
		exit 77
	fi
done

# verify MODEL OPTIMISATION DEFINE...: leaves pan's report in ./report; 0: holds, 1: fails, 2: no verdict.
verify() {
	local model=$1 opt=$2
	shift 2
	rm -f pan ./*.trail
	spin -a "$@" "$model.pml" >report 2>&1 || return 2
	gcc "$opt" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>report 2>&1 || return 2
	timeout 120 ./pan -m100000 >>report 2>&1
	grep -qE 'max search depth|out of memory|resource limit' report && return 2
	grep -qE '^pan:[0-9]+: (assertion violated|invalid end state)' report && return 1
	grep -q 'errors: 0' report && return 0
	return 2
}

if [[ ${2-} == -D* ]]; then
	model=$1
	shift
	verify "$model" -O1 "$@"
	verdict=$?
	cat report
	[ -f "$model.pml.trail" ] && spin -t -p -g -l "$@" "$model.pml" | tail -n 80
	exit $verdict
fi

bad=0
# check EXPECTED MODEL LABEL OPTIMISATION DEFINE...
check() {
	local expected=$1 model=$2 label=$3
	shift 3
	verify "$model" "$@"
	local verdict=$? word=(holds fails "no verdict") note=ok
	if [ $verdict -ne "$expected" ]; then
		note="NOT EXPECTED"
		bad=1
		tail -n 20 report
	fi
	printf '%-40s %-10s %8s states  %s\n' "$model: $label" "${word[verdict]}" \
		"$(awk '/states, stored/ {print $1}' report)" "$note"
}

# holds MODEL DEFINE...: under both orders.
holds() {
	local model=$1
	shift
	check 0 "$model" "total store order ${*//-D/}" -O1 "$@" -DTSO
	check 0 "$model" "weak order ${*//-D/}" -O1 "$@"
}

# mutants MODEL "MUTANT..." "MUTANT...": each fails; those of the second list under weak order only.
mutants() {
	local model=$1 mutant listed
	for mutant in $2; do
		check 1 "$model" "mutant $mutant" -O0 "-DM_$mutant" -DTSO
	done
	for mutant in $3; do
		check 0 "$model" "$mutant in total store order" -O1 "-DM_$mutant" -DTSO
		check 1 "$model" "mutant $mutant" -O0 "-DM_$mutant"
	done
	listed=$(grep -ohE '\bM_[A-Z0-9_]+' "$model.pml" | sort -u | sed 's/^M_//' | tr '\n' ' ')
	if [ "$listed" != "$(printf '%s\n' $2 $3 | sort -u | tr '\n' ' ')" ]; then
		echo "$model: other mutants in the model than are checked: $listed"
		bad=1
	fi
}

ring() {
	holds ring -DK=3 -DN=5
	holds ring -DK=4 -DN=6
	holds ring -DK=5 -DN=8
	mutants ring "NO_P3 NO_I3 NO_F3 NO_C3 NO_I4 NO_F4 LATE_R FIRST_OLD LAST_OLD FILL CURRENT_W" \
		"RELAXED_W"
}

receive() {
	holds receive
	mutants receive "NO_I3 CHECK_FIRST CLEAR_LATE NO_RAISE LATE_R ARM_AT_SCAN NO_LOCK SCAN_CONSUMES
		NO_SKIP NO_HANDLED KEEP_AHEAD" "RELAXED_UNLOCK"
}

vf() {
	holds vf
	mutants vf "NO_FENCE_IN NO_FENCE_OUT WORD_FIRST QUIET_FIRST NO_QUIET NO_TIMES CUT_LATE NO_MARK
		WAKE_FIRST" "RELAXED_ON RELAXED_EXIT"
}

[ $# != 0 ] || set -- ring receive vf
for model in "$@"; do
	"$model"
done
exit $bad
