"""The networks, and nothing but networks: no files, no training loops.

Offers `ndf.NDF` (the published network), `shape_codes.build_ndf` (NDFs with a code), `real_nvp.build_flow` (the flow
of these codes); `pretrained/` holds the weights that come along, `experiments/` what experiments write.
"""
