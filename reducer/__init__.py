"""Interpretation: folds a bundle of evidence into state."""

from tracing.bundle_reader import NotABundle

from .cache import explain_cache
from .conversation_trees import Conversations
from .replay import reduce_bundle, state_bytes, state_stream
from .trace_links import link_bundles

__all__ = [
    "Conversations",
    "NotABundle",
    "explain_cache",
    "link_bundles",
    "reduce_bundle",
    "state_bytes",
    "state_stream",
]
