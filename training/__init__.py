"""From samples to trained networks: steps 3 and 4.

Offers `NDFTrainer` and `FlowTrainer`, checkpoints (saved, resumed, read without executing anything in them), training
batches, the codes that the frozen NDF assigns to shapes, and `export`, which writes small weight files for release.
"""
