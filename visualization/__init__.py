"""Pictures, made without a display. Depends on `configs` only; other packages draw with it.

Offers `render_cloud` (a shaded picture of a cloud), contact sheets, and the plots of evaluation and latent space.
"""
