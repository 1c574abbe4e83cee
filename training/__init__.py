"""From samples to trained networks: steps 3 and 4.

Offers `train`, the one loop, and what it trains: `NDFTask` and `FlowTask`. Around them: training batches, losses,
checkpoints and what lets a run go on from them, curves for TensorBoard, several processes, the codes that the frozen
NDF assigns to shapes, and `export`, which writes small weight files for release.
"""
