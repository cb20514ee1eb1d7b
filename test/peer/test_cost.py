# SPDX-License-Identifier: BSD-3-Clause
"""pmdbench on the rig: the in-tree driver and our UIO backend, every frame compared and counted."""
import json
import os

from harness import BUILD, PLUGIN, Case


class Cost(Case):
    limit = 90

    def test_the_in_tree_driver_and_our_uio_backend_are_measured(self):
        path = self.path("bench.json")
        status, text = self.run_program("pmdbench", [
            os.path.join(BUILD, "app/pmdbench/pmdbench"), "--plugin", PLUGIN, "--rounds", "2",
            "--frames", "500", "--json", path, "--pmd", "in-tree,ours-uio",
            "--op", "rx,tx,fwd,idle", "--size", "64,1514", "--burst", "1,32", "--queues", "1,4"],
            timeout=80)
        self.assertEqual(status, 0, text)
        with open(path) as file:
            result = json.load(file)
        self.assertEqual(len(result["cells"]), 32)
        self.assertEqual({cell["pmd"] for cell in result["cells"]}, {"in-tree"})
        self.assertEqual(len(result["more_cells"]), 32)
        self.assertEqual({(cell["pmd"], cell["backend"]) for cell in result["more_cells"]},
                         {("hyperpoll", "uio")})
