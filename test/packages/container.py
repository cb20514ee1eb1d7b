# SPDX-License-Identifier: BSD-3-Clause
"""The image of packaging/container on a Debian that ./run chroot has unpacked: built, and two containers of it that share
a folder, as in doc/howto/container.md. By buildah, which needs no daemon, no registry and no privileges of a container's.
"""
import contextlib
import json
import os
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE, IMAGE = "localhost/hyperpoll-test-base", "localhost/hyperpoll-test"
FRAMES = 5000
HOST = ["hvsim", "--dir", "/run/hyperpoll", "--nic", f"spoof=on,port=gen:size=60-1514,count={FRAMES},window=512"]
GUEST = ["dpdk-testpmd", "--no-huge", "-m", "256", "-l", "0,1", "--no-pci", "--no-telemetry",
         "--", "--forward-mode=macswap", "--no-flush-rx", "--total-num-mbufs=16384"]
STATS = ["hvsim", "ctl", "stats", "0"]
# Of its own root folder; devices, /proc and the network are the machine's.
ISOLATED = ["--isolation", "chroot"]


def buildah(*words):
    return subprocess.run(["buildah", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def last(done, lines=20):
    return "\n" + "\n".join(done.stdout.splitlines()[-lines:])


@contextlib.contextmanager
def made_from(image):
    """A container of an image; its name."""
    name = buildah("from", "--pull-never", image).stdout.split()[-1]
    try:
        yield name
    finally:
        buildah("rm", name)


def base(folder):
    """An image of an unpacked Debian, without what ./run chroot put there."""
    with made_from("scratch") as name:
        root = buildah("mount", name).stdout.strip()
        done = subprocess.run(f"tar c --one-file-system --exclude=./hyperpoll --exclude=./dpdk-sdk -C '{folder}' . | "
                              f"tar x -C '{root}'", shell=True, capture_output=True, text=True, check=False)
        buildah("unmount", name)
        return done if done.returncode else buildah("commit", name, BASE)


def frames(folder):
    """A host and an application, each in a container, and the folder that they share: the host's counters."""
    share = ["-v", f"{folder}:/run/hyperpoll"]
    with made_from(IMAGE) as host, made_from(IMAGE) as guest, contextlib.ExitStack() as stack:
        def start(name, words, ready):
            log = stack.enter_context(tempfile.TemporaryFile("w+"))
            child = subprocess.Popen(["buildah", "run", *ISOLATED, *share, name, "--", *words], stdin=subprocess.PIPE,
                                     stdout=log, stderr=log)
            stack.callback(child.wait)
            stack.callback(child.terminate)
            until = time.monotonic() + 60
            while time.monotonic() < until and child.poll() is None and not ready():
                time.sleep(0.2)
            log.seek(0)
            return log.read()

        def port():
            done = buildah("run", *ISOLATED, *share, host, "--", *STATS)
            try:
                return json.loads(done.stdout)["stats"]["port_stats"]
            except (ValueError, KeyError):
                return {}

        said = start(host, HOST, lambda: os.path.exists(f"{folder}/control.sock"))
        said += start(guest, GUEST, lambda: port().get("finished"))
        return port(), said


def check_image(check, folder):
    done = base(folder)
    if not check(done.returncode == 0, "an image of the unpacked Debian", last(done)):
        return
    done = buildah("build", *ISOLATED, "--network", "host", "--pull-never", "--build-arg", f"BASE={BASE}", "-t", IMAGE,
                   "-f", "packaging/container/Containerfile", ".")
    if not check(done.returncode == 0, "the image is built", last(done)):
        return
    with made_from(IMAGE) as name:
        left = buildah("run", *ISOLATED, name, "--", "sh", "-c", "ls -d /src /packages; dpkg-query -W meson gcc")
        check("/src" not in left.stdout.split() and "/packages" not in left.stdout.split() and
              "no packages found matching meson" in left.stdout, "nothing of the build is in it", last(left))
    with tempfile.TemporaryDirectory(prefix="hyperpoll-container-") as shared:
        port, said = frames(shared)
        counts = tuple(port.get(name) for name in ("verified", "corrupt", "lost", "duplicate"))
        check(counts == (FRAMES, 0, 0, 0), "a host and testpmd in two containers: every frame came back", f"{port}\n{said}")
    buildah("rmi", IMAGE, BASE)
