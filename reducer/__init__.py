"""Interpretation: folds a bundle of evidence into state."""

from tracing.bundle_reader import NotABundle

from .replay import reduce_bundle, state_bytes

__all__ = ["NotABundle", "reduce_bundle", "state_bytes"]
