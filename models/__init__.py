"""The networks, and only networks: no file access, no training loops.

Offers `ndf.NDF` (the published network), `shape_codes.build_ndf` (NDFs with a latent code) and `real_nvp.build_flow`
(flows over these codes). `kernels/` computes parts of them faster. `pretrained/` holds the released weights,
`experiments/` the output of experiments.
"""
