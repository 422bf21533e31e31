"""The page: the graph in one HTML file that walks through backward, step by step, and loads nothing.

    viz.gradient_flow(recording, model).save("flow.html")
    viz.page.save("both.html", plain, residual)             # two graphs side by side, on one scale

Python lays out and draws (`scene`, `svg`), collects what a card tells (`facts`), and writes it all into one
document; `assets/page.js` only moves, colours and counts.
"""

from .document import in_frame, save, to_html

__all__ = ["in_frame", "save", "to_html"]
