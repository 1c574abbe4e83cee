"""One self-contained HTML page in which shapes are looked at: turned, cut open, coloured, saved as pictures.

Offers `PageShape` (what is shown of a shape) and `write_page`. The page's own sources are page.html, page.css and the
modules in js/; three.js, which draws, is in vendor/. What users see of it: docs/viewer.md.
"""

from visualization.html_page.page import PageShape, write_page

__all__ = ["PageShape", "write_page"]
