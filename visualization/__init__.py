"""Pictures, made without a display: it needs no other room, and the others draw with it.

Offers `render_cloud` (a shaded picture of a cloud), contact sheets of many, and the plots of evaluation and study.
"""
