# SPDX-License-Identifier: BSD-3-Clause
"""
What no processor does, recognised in the log of a guest that died of it: then the emulated machine
is to blame, as when its own kernel crashes.
"""
import re

# In Linux's call trace: who was running, and below it the registers of what it had interrupted.
HANDLER = re.compile(r"asm_sysvec_\w+\+0x")
INTERRUPTED = re.compile(r"RIP: 0010:asm_sysvec_\w+\+0x0/")
FLAGS = re.compile(r"EFLAGS: ([0-9a-f]{8})")
INTERRUPT_FLAG = 0x200


def interrupted_while_off(log):
    """
    An interrupt was taken at the first instruction of an interrupt's handler, with interrupts off:
    the entry through a gate has just cleared the flag, and the handler has not begun. No code of
    the guest or of hvsim-vm has a part in that (spec/hyperv-host-on-kvm.md §1).
    @return what the log says of it, or None
    """
    lines = log.splitlines()
    for above, line, rest in zip(lines, lines[1:], (lines[i:i + 3] for i in range(2, len(lines)))):
        if not (HANDLER.search(above) and INTERRUPTED.search(line)):
            continue
        flags = next((found.group(1) for found in map(FLAGS.search, rest) if found), None)
        if flags is not None and not int(flags, 16) & INTERRUPT_FLAG:
            return "%s, EFLAGS %s" % (line[line.index("RIP"):].strip(), flags)
    return None
