"""The index of all bundles in a trace directory: what makes lists and searches quick.

Bundles stay the truth: the index holds nothing that cannot be read from them again.
"""
