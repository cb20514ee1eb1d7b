# SPDX-License-Identifier: BSD-3-Clause
"""The telemetry socket of a testpmd that was started with telemetry=True."""
import json
import os
import shutil
import socket
import subprocess
import sys

from harness import wait_until


def path_of(pmd):
    """Its socket; EAL takes the folder from the environment that this process gave it."""
    prefix = pmd.argv[pmd.argv.index("--file-prefix") + 1]
    return os.path.join(os.environ["RUNTIME_DIRECTORY"], "dpdk", prefix, "dpdk_telemetry.v2")


class Telemetry:
    """One connection. An answer that is no JSON is an error."""

    def __init__(self, pmd):
        path = path_of(pmd)
        wait_until(lambda: os.path.exists(path), 10, path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.room = json.loads(self.socket.recv(1024))["max_output_len"]

    def cmd(self, command, argument=None):
        """What the command answers: as the exporter asks, and as its endpoints expect."""
        line = command if argument is None else f"{command},{argument}"
        self.socket.send(line.encode())
        return json.loads(self.socket.recv(self.room))[command]

    def queues(self, port=0):
        """/netvsc/queue of every queue."""
        info = self.cmd("/netvsc/info", port)
        return [self.cmd("/netvsc/queue", f"{port},{n}")
                for n in range(max(info["rx_queues"], info["tx_queues"]))]

    def flight(self, port=0, events=100):
        """Lines of the flight recorder, without their times."""
        lines = self.cmd("/netvsc/flight", f"{port},{events}")["last"]
        return [line.split(" ", 1)[1] for line in lines]

    def close(self):
        self.socket.close()


def by_script(pmd, *commands):
    """What DPDK's dpdk-telemetry.py prints for commands on its standard input."""
    path = path_of(pmd)
    run = subprocess.run(
        [sys.executable, shutil.which("dpdk-telemetry.py"), "-f",
         os.path.basename(os.path.dirname(path))],
        input="".join(f"{c}\n" for c in commands), capture_output=True, text=True, timeout=20,
        check=True)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
