"""Pictures as SVG text: each a function of numbers alone, in the colours of the page."""
