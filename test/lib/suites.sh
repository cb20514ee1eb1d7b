# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The test suites of ./run test. Sourced by run.
#
# A suite is a function suite_NAME; its output ends with a line "N passed, N failed". To add one:
# the function, and a line with its time limit in seconds below.
declare -A suites=([lint]=900 [unit]=1800 [integration]=2700 [uio]=2700 [peer]=600 [drill]=900 [vm]=2400
	[fuzz]=600)
suite_order=(lint unit fuzz integration uio peer drill vm)
# What ./run test --long adds; there the random calls are 40 times as many, too.
suites_long=(arm64 drill-long tsan suricata vm-6.12 vm-newest packages dpdk-tree)
suites_all=("${suite_order[@]}" "${suites_long[@]}")
suites+=([arm64]=1800 [drill-long]=3000 [tsan]=1800 [suricata]=600 [vm-6.12]=2400 [vm-newest]=2400
	[packages]=3600 [dpdk-tree]=1800)

# Everything once more, by clang with the sanitizers: for suites unit, integration and uio.
compile_asan() {
	CC=clang compile "$build-asan" -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
		-Db_lundef=false
}

# Once more for suite tsan; test/tsan/run.py says why DPDK's headers are to use builtins.
compile_tsan() {
	CC=clang compile "$build-tsan" -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false \
		'-Dc_args=-DRTE_FORCE_INTRINSICS -DRTE_USE_C11_MEM_MODEL'
}

# What can be said of the sources without running them.
suite_lint() {
	python3 -B test/lint/run.py "$@"
}

# Everything in C, as built (gcc) and again with the sanitizers; what scripts test, only so.
suite_unit() {
	# A dozen of them do little but wait, for up to 13 s: one more at a time than there are processors.
	local dir once=(--no-suite script) at_a_time=$(($(nproc) + 1))
	export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	for dir in "$build" "$build-asan"; do
		# The limits of single tests are for a machine that does nothing else.
		meson test -C "$dir" --no-rebuild --suite unit "${once[@]}" -t 4 --num-processes "$at_a_time" \
			--print-errorlogs >"$dir/unit.log" 2>&1 ||
			tail -n 200 "$dir/unit.log"
		once=()
	done
	python3 test/lib/unit_summary.py "$build/meson-logs/testlog.json" \
		"$build-asan/meson-logs/testlog.json"
}

# The simulated host and the distribution's DPDK applications.
suite_integration() {
	as_root_if_possible python3 -B test/integration/run.py
}

# What has threads, under ThreadSanitizer.
suite_tsan() {
	as_root_if_possible python3 -B test/tsan/run.py "$build-tsan"
}

# The UIO backend: the same tests on a rig that plays the kernel, and what only it can show.
suite_uio() {
	python3 test/uio/run.py
}

# The distribution's in-tree driver on the same rig, alone and beside our plugin.
suite_peer() {
	python3 test/peer/run.py
}

# Faults of every kind under numbered frames, by the seeds that the suite always runs.
suite_drill() {
	as_root_if_possible python3 -B test/drill/run.py --suite
}

# Longer ones.
suite_drill-long() {
	as_root_if_possible python3 -B test/drill/run.py --suite long
}

# Real Linux guests in hvsim-vm, on this machine's KVM or in an emulated machine.
suite_vm() {
	python3 -B test/vm/run.py
}

# Every fuzz target for a moment, a minute of them together: that they work, and what is found at once.
suite_fuzz() {
	HYPERPOLL_FUZZ_SEED=1 python3 -B test/fuzz/run.py "$build-fuzz" all 60
}

# The distribution's Suricata captures; skipped where it is not installed or is built without DPDK.
suite_suricata() {
	as_root_if_possible python3 -B test/integration/run.py test_suricata
}

# Cross-built (cross.sh), the unit tests in C in qemu's user mode; build-arm64/unit.log tells all.
suite_arm64() {
	cross_test arm64
}

# The same as suite vm with the guest on other kernels, of this release's backports or of testing.
suite_vm-6.12() {
	HYPERPOLL_KERNEL=6.12 suite_vm
}
suite_vm-newest() {
	HYPERPOLL_KERNEL=newest suite_vm
}

# Debian packages: built, installed, used and removed in chroots; RPM's spec file.
suite_packages() {
	setup_packages packages && as_root python3 -B test/packages/run.py
}

# Our drivers in the source tree that DPDK_SDK names: its testpmd, statically linked, forwards.
suite_dpdk-tree() {
	setup_packages packages && as_root_if_possible python3 -B test/dpdk_tree/run.py
}

# Leave a record of what ran, or of a build alone, in the build folder.
record_run() {
	HYPERPOLL_REVISION=${HYPERPOLL_REVISION-$(revision)} python3 -B test/lib/support.py record "$build/record.json" "$@" ||
		say "NOTICE: no record of this run"
}

# Run suites under their time limits, print what failed once more and the sum, leave a record of it in
# the build folder (support.py), and fail unless everything passed.
run_suites() {
	local name passed=0 failed=0 start counts status log skipped kernel failures="" runs=()
	local -A ran=()
	for name in "$@"; do
		[ -z "${ran[$name]-}" ] || continue
		ran[$name]=1
		echo "== $name"
		start=$SECONDS
		log=$(mktemp)
		status=0
		timeout -k 15 "${suites[$name]}" ./run _suite "$name" 2>&1 | tee "$log" || status=$?
		counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" | tail -n 1)
		failures+=$(sed -nE "s/^ *FAIL /FAIL $name: /p" "$log")$'\n'
		skipped=$(grep -c '^ *skip ' "$log") || true
		kernel=$(sed -nE 's/^vm: guests have Linux //p' "$log" | head -n 1)
		rm -f "$log"
		if [ -z "$counts" ] || { [ $status != 0 ] && [ "${counts##* }" = 0 ]; }; then
			echo "$name: ended with status $status" \
				"$([ $status != 124 ] || echo "(after its limit of ${suites[$name]} s)")"
			# shellcheck disable=SC2086 # two words
			counts="$(set -- ${counts:-0 0}; echo "$1 $(($2 + 1))")"
		fi
		if [ "$counts" = "0 0" ] && [ "$skipped" = 0 ]; then
			echo "$name: nothing was tested"
			counts="0 1"
		fi
		passed=$((passed + ${counts%% *}))
		failed=$((failed + ${counts##* }))
		runs+=("$name:${counts/ /:}:$skipped:$kernel")
		echo "== $name: $((SECONDS - start)) s"
	done
	record_run "${runs[@]}"
	grep FAIL <<<"$failures" | cut -c 1-300 || true
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed -gt 0 ]
}
