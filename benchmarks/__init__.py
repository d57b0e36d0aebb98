"""Speed, as interleaved ratios from one run: `make bench`."""
