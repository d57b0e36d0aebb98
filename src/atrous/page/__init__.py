"""Pages that open from disk: HTML without a script, charts as SVG, light and dark."""
