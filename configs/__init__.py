"""What every step shares: options and config files, file names, user errors, the cores and the device of a run.

Offers `get_config` (the only reader of options), `Experiment` (the folders of one), `UserError` and `run`, and writers
that never leave half a file. Imports nothing heavy, but for `devices`, which needs torch.
"""

import os

# A thread of torch that waits for another spins for a while before it sleeps. On cores that have other work too this
# takes the core from the very thread that is waited for, and libgomp's default, 300,000 turns, was seen to slow a
# training step on 2 shared cores from 0.04 to 1.8 s; without any spinning a step on 2 free cores takes twice as long.
# 10,000 turns lose nothing on free cores. Read when torch is loaded: so it stands here, before any script can do that.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
