# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own examples, built from the distribution's sources as they are."""
import concurrent.futures
import os
import re
import shutil
import subprocess

from harness import BUILD, PLUGIN, libdpdk, memory_args

SOURCES = os.path.join(libdpdk("--variable=prefix"), "share/dpdk/examples")


def sources(name):
    """The C files that the example's build file names."""
    folder = os.path.join(SOURCES, name)
    with open(os.path.join(folder, "meson.build"), encoding="utf-8") as file:
        text = re.sub(r"#.*", "", file.read())
    return [os.path.join(folder, word) for word in re.findall(r"'([\w-]+\.c)'", text)]


def build(name):
    """Path of the program; compiled when it is missing or older than its sources."""
    out = os.path.join(BUILD, "examples", name)
    files = sources(name)
    if os.path.exists(out) and os.path.getmtime(out) >= max(map(os.path.getmtime, files)):
        return out
    objects = os.path.join(BUILD, "examples", f"{name}.p")
    os.makedirs(objects, exist_ok=True)
    # One object per call, which is what ccache knows.
    compiler = [*filter(None, [shutil.which("ccache")]), "cc", "-O2", "-w", "-DALLOW_EXPERIMENTAL_API",
                f"-I{SOURCES}/common", f"-I{SOURCES}/{os.path.dirname(name)}/shared", *libdpdk("--cflags").split()]

    def compile_one(source):
        target = os.path.join(objects, os.path.basename(source) + ".o")
        subprocess.run([*compiler, "-c", "-o", target, source], check=True)
        return target

    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        made = list(pool.map(compile_one, files))
    subprocess.run(["cc", "-o", out + ".new", *made, *libdpdk("--libs").split(), "-lm"], check=True)
    os.replace(out + ".new", out)
    return out


def argv(name, devices, *options, eal=(), lcores=("-l", "0")):
    """A command line that runs the example with these devices."""
    words = [build(name), *lcores, "--no-pci", "--no-telemetry", *memory_args(), "-d", PLUGIN]
    for device in devices:
        words += ["-a", device]
    return [*words, *eal, "--", *options]
