"""Data sets as they lie on disk: one module for each layout, and the table of their names.

Nothing is ever written into a data set, and nothing is downloaded, but where a data set is named
by its place on the Hugging Face hub.
"""
