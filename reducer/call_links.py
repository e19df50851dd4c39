"""Writes into a bundle's calls which call each continues, and which ones are retries."""

from .call_facts import BundleFacts
from .fields import text_of
from .fold import Fold
from .links import link_calls


def link_within(fold: Fold) -> BundleFacts:
    """Link the calls of a bundle that was folded, and give the facts that link it to others."""
    prewarms = {
        response_id: text_of(prewarm.value, "previous_response_id")
        for response_id, prewarm in fold.prewarms.items()
    }
    facts = fold.facts.facts(fold.trace_id, fold.calls.values(), prewarms)
    links = link_calls([facts])
    for found in facts.calls:
        proxy = fold.calls[found.key.call_id].proxy
        # Nobody but we may say this.
        proxy.pop("continues", None)
        proxy.pop("retry_of", None)
        if link := links.continues.get(found.key):
            proxy["continues"] = {"call": link.call.call_id, "by": str(link.by)}
        if retry := links.retries.get(found.key):
            proxy["retry_of"] = {
                "call": retry.of.call_id,
                "by": str(retry.by),
                "first": retry.first.call_id,
                "attempt": retry.attempt,
            }
    return facts
