"""Everything that faces a reader: the reading commands."""
