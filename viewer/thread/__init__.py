"""Conversations as the models saw them, and what differs between two calls."""
