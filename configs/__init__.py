"""Options, file names and user errors. Imports nothing heavy."""

import os

# Threads of torch wait for each other by spinning, which on a machine with other work takes the core from the very
# thread that is waited for: a training step on 2 shared cores took 1.8 s so, and 0.04 s with waiters asleep. Read when
# torch is loaded, so it stands here, before any script can import torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
