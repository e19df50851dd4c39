"""The reading commands: each module is a command, and prints to a terminal, a pipe or a script."""
