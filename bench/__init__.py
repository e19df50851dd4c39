"""Measures what the proxy costs beside others that relay the same traffic; `python -m bench`."""
