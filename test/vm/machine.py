# SPDX-License-Identifier: BSD-3-Clause
"""Where hvsim-vm runs: on this machine's KVM when it has everything, else in an emulated machine."""
import os
import shlex
import subprocess
import tempfile

import images

QEMU = "qemu-system-x86_64"


def direct(hvsim_vm):
    """Has this machine's KVM every capability? A /dev/kvm that opens is not enough."""
    return subprocess.run([hvsim_vm, "--check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def job_command(command, hvsim_vm, seconds, work, interactive=False, npt=False):
    """
    Command line that runs shell command `command` where hvsim-vm works. `work` is a folder that
    `command` sees as $JOB and may write to; status and output of `command` must go there. With
    `npt` the emulated machine's KVM uses nested page tables: guests boot in half the time, but
    under QEMU 7.2 some die of a triple fault; with shadow page tables none has been seen to.
    """
    # Everything is ended by force in the end: nested emulation has been seen to hang for good.
    # In the foreground, or the terminal would be out of reach.
    limit = ["timeout", "--foreground", "-k", "5", str(seconds)]
    if direct(hvsim_vm):
        return limit + ["unshare", "-n", "sh", "-c",
                        "export JOB=%s; ip link set lo up; %s" % (shlex.quote(work), command)]
    with open(os.path.join(work, "job.sh"), "w", encoding="ascii") as f:
        f.write("export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin JOB=/mnt/job\n"
                "%s\n" % command)
    image = os.path.join(work, "l1.gz")
    images.l1(image)
    share = "local,security_model=none,multidevs=remap"
    return limit + [
        QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "4096", "-smp", "2", "-nographic", "-monitor", "none",
        "-no-reboot", "-kernel", images.kernel()[1], "-initrd", image,
        "-append", "console=ttyS0 panic=-1 quiet npt=%d" % npt,
        "-virtfs", share + ",path=/,mount_tag=root,readonly=on",
        "-virtfs", share + ",path=%s,mount_tag=job" % work] + (
            # Ctrl-A belongs to hvsim-vm, and QEMU must not show its own monitor there.
            ["-serial", "chardev:c", "-chardev", "stdio,id=c,signal=off"] if interactive else [])


def work_folder():
    return tempfile.TemporaryDirectory(prefix="hyperpoll-vm-")
