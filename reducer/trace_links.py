"""Links the calls of several bundles: a conversation may go on in another one."""

from collections.abc import Iterable
from pathlib import Path

from .call_links import link_within
from .links import Links, link_calls
from .replay import fold_bundle


def link_bundles(bundles: Iterable[Path]) -> Links:
    """Link the calls of the bundles in some directories, in whatever order these are given.

    Raises NotABundle where one holds none, and OSError where its event log cannot be read.
    """
    return link_calls([link_within(fold_bundle(bundle)) for bundle in bundles])
