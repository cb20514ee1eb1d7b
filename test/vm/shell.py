# SPDX-License-Identifier: BSD-3-Clause
"""An interactive guest for people; see shell.sh."""
import os
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lib"))

import arguments as words
import images
import kernels
import machine

# What the guest does before its shell.
NETVSC = "ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up"
TESTPMD = ("mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages; /opt/vmbusctl bind eth0; "
           "dpdk-testpmd -l 0-1 -n 1 --no-pci --no-telemetry -d /opt/librte_hyperpoll.so -- -i "
           "--nb-cores=1 --total-num-mbufs=8192 --forward-mode=icmpecho --auto-start")


def main():
    arguments = words.vm(sys.argv[1:])
    build = os.path.realpath(arguments.build or images.BUILD)
    hvsim_vm = os.path.join(build, "app", "hvsim-vm", "hvsim-vm")
    if not os.access(hvsim_vm, os.X_OK):
        sys.exit("vm: %s is missing: run ./run build first" % hvsim_vm)
    try:
        kernel = kernels.select(arguments.kernel)
    except (OSError, RuntimeError) as error:
        sys.exit("vm: %s" % error)
    direct = machine.direct(hvsim_vm)
    if not direct and shutil.which(machine.QEMU) is None:
        sys.exit("vm: no KVM with Hyper-V support and no %s: apt-get install qemu-system-x86" % machine.QEMU)
    testpmd = arguments.what == "testpmd"
    with machine.work_folder() as work:
        images.l2(os.path.join(work, "l2.cpio"), kernel, build if testpmd else None,
                  autorun=TESTPMD if testpmd else NETVSC)
        append = "shell load=hv_vmbus,hv_netvsc,uio,uio_hv_generic"
        if testpmd:
            append += " default_hugepagesz=2M hugepages=112"
        command = ("ip tuntap add hp0 mode tap; ip addr add 10.9.0.1/24 dev hp0; ip link set hp0 up; "
                   "%s --kernel %s --initrd $JOB/l2.cpio --mem 768M --append %s --nic port=tap:hp0"
                   % (shlex.quote(hvsim_vm), kernel.image, shlex.quote(append)))
        if testpmd:
            command = "(sleep 45; ping -i 5 10.9.0.2 | sed 's/^/outside: /') & p=$!; " + command + "; kill $p"
        if not direct:
            print("vm: this machine's KVM lacks Hyper-V support: the guest runs in an emulated machine,\n"
                  "vm: which takes about a minute to start", flush=True)
        print("vm: end with 'poweroff -f' or Ctrl-A x", flush=True)
        return subprocess.call(machine.job_command(command, hvsim_vm, 86400, work, [images.ROOT, build],
                                                    interactive=True))


if __name__ == "__main__":
    sys.exit(main())
