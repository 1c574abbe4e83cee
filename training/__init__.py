"""From samples to trained networks: steps 3 and 4.

Offers `NDFTrainer` and `FlowTrainer`, checkpoints (saved, resumed, read without running anything in them), the batches
of samples, the codes that the frozen NDF gives each shape, and `export`, which leaves small weights for others.
"""
