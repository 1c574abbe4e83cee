"""What is measured of the project, and how: no part of the product, nothing in it imports from here.

Benchmarks, measurements, stress (kills, hostile input, full disks), the job scripts on a real Slurm, the GPU run, the
scripts that make pictures and tables of the documents, the notebook (`notes`), and small experiments for all of them.
"""

import runtime  # noqa: F401, before torch: it says how threads wait
