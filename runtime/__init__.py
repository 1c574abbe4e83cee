"""The machine and its files: errors, files and folders, what is up to date, devices, processes, cores, memory, seeds.

The lowest room: it knows no option and no network, and imports nothing heavy, but for `devices`, which needs torch.
Offers `UserError` and `run`, writers that never leave half a file, readers that execute nothing in what they read, and
`Experiment` (the folders of one).
"""

import os

# A thread of torch that waits for another spins for a while before it sleeps. On cores that have other work too this
# takes the core from the very thread that is waited for, and libgomp's default, 300,000 turns, was seen to slow a
# training step on 2 shared cores from 0.04 to 1.8 s; without any spinning a step on 2 free cores takes twice as long.
# 10,000 turns lose nothing on free cores. Read when torch is loaded: so it stands here, before any script can do that.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
