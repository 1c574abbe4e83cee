"""The machine and its files: errors, files and folders, what is up to date, devices, processes, cores, memory, seeds.

The lowest room: it knows no option and no network, and imports nothing heavy, but for `devices`, which needs torch.
Offers `UserError` and `run`, writers that never leave half a file, readers that execute nothing in what they read, and
`Experiment` (the folders of one).
"""

import os

# A thread of torch that waits for another sleeps soon. By default it spins, for 300,000 turns of libgomp's, which on
# cores that have other work too takes the core from the very thread that is waited for; one that sleeps at once makes
# steps on free cores half as long again (lab/notes/performance.md). Read when torch is loaded: so it stands here,
# before any script can do that. Who sets either variable gets what they say.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ.update(OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="1000")
