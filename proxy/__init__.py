"""Everything that faces traffic: settings, forwarding, health and metrics."""
