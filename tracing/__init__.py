"""Evidence: what was observed of the traffic, kept as a bundle on disk.

Nothing here interprets more than one call at a time, and nothing here knows aiohttp or asyncio.
"""
