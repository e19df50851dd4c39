"""One call, read from its bundle: what was sent, what came when, and how it ended."""
