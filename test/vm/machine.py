# SPDX-License-Identifier: BSD-3-Clause
"""Where hvsim-vm runs: on this machine's KVM when it has everything, else in an emulated machine."""
import os
import shlex
import subprocess
import tempfile

import images
import kernels
import mounts

QEMU = "qemu-system-x86_64"

# QEMU's TCG has a race (found in 7.2, still in sources after 10.0): FRSTOR, FXRSTOR and XRSTOR on any
# processor rewrite the flags of processor 0 without a lock (cpu_clear_ignne()), among them SVM's
# global interrupt flag. If KVM enters or leaves a guest there at that moment, a CLGI, STGI or #VMEXIT
# has no effect on the flag: the machine's kernel dies in an interrupt right behind VMRUN, or gets no
# interrupt any more. So no guest may run on processor 0: the job has the others to itself.
PROCESSORS, JOB_PROCESSORS = 3, (1, 2)
MEGABYTES = 2048
# Shadow page tables: with nested ones guests boot in half the time, but some die of it: one took an
# interrupt with interrupts off (doc/testing.md "Emulated machines").
NPT = 0

# Ends with its folder, if with nothing else.
HEARTBEAT = '%ssh -c \'while n=$((n+1)); echo $n >"$JOB/alive%s"; do sleep 2; done\' >/dev/null 2>&1 &\n'


def direct(hvsim_vm):
    """Has this machine's KVM every capability? A /dev/kvm that opens is not enough."""
    return subprocess.run([hvsim_vm, "--check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def job_script(command, work, emulated):
    """A shell script that runs `command`, shows that it lives (see watch.py), and tells its end."""
    script = ("export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin JOB=%s\n"
              "ip link set lo up\n" % shlex.quote(work))
    if emulated:
        script += "taskset -cp %s $$ >/dev/null || exit 1\n" % ",".join(map(str, JOB_PROCESSORS))
        # One for each processor: a machine of which only one still runs is of no use.
        for cpu in JOB_PROCESSORS:
            script += HEARTBEAT % ("taskset -c %d " % cpu, cpu)
    else:
        script += HEARTBEAT % ("", "")
    return script + '(%s)\nstatus=$?\necho $status >"$JOB/status"\nexit $status\n' % command


def job_command(command, hvsim_vm, seconds, work, folders, interactive=False, npt=NPT, systemd=False):
    """
    Command line that runs shell command `command` where hvsim-vm works, in a network of its own.
    `work` is a folder that `command` sees as $JOB and may write to, at the same path; status and
    output of `command` must go there. `folders` are what else it must see, wherever they are. With
    `npt` 1 the emulated machine's KVM uses nested page tables. With `systemd` the machine is always emulated, and
    that is its first process.
    """
    # Everything is ended by force in the end. In the foreground, or the terminal would be out of reach.
    limit = ["timeout", "--foreground", "-k", "5", str(seconds)]
    emulated = systemd or not direct(hvsim_vm)
    script = os.path.join(work, "job.sh")
    with open(script, "w", encoding="utf-8") as f:
        f.write(job_script(command, work, emulated))
    if not emulated:
        return limit + ["unshare", "-n", "sh", script]
    image = os.path.join(work, "l1.cpio")
    listed = mounts.mounts(work, *folders)
    images.l1(image, listed, script, systemd)
    return limit + [
        QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEGABYTES), "-smp", str(PROCESSORS),
        "-nographic", "-monitor", "none", "-no-reboot", "-kernel", kernels.installed().image, "-initrd", image,
        # An oops must not go on half dead, with checks that fail because of it.
        "-append", "console=ttyS0 panic=-1 oops=panic quiet npt=%d%s" % (
            npt, " systemd.unit=" + images.L1_TARGET if systemd else ""),
    ] + mounts.qemu_options(listed) + (
        # Ctrl-A belongs to hvsim-vm, and QEMU must not show its own monitor there.
        ["-serial", "chardev:c", "-chardev", "stdio,id=c,signal=off"] if interactive else [])


def work_folder():
    return tempfile.TemporaryDirectory(prefix="hyperpoll-vm-")
