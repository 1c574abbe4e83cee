"""From latent codes to point clouds: which codes are decoded, how, and into which files.

Offers `Networks` (the frozen NDF and flow of an experiment), `sampled`, `reconstructed`, `interpolated` (what to
decode), `PlausibleCodes` (codes off the training data, brought back), `decode` (a code to a cloud), `write_shapes`
(clouds to files), `read_cloud` for any cloud files, and `write_html` (a page to look at a folder of them).
"""
