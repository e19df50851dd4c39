"""Ends a connection abruptly, so that the peer can tell it from an orderly end."""

import asyncio
import socket
import struct

_NO_LINGER = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """End with an RST (SO_LINGER with no time), unless something is still to be sent.

    An RST would throw that away; so it goes out, and then the connection is closed.
    """
    if not transport.is_closing() and not transport.get_write_buffer_size():
        connected: socket.socket = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    else:
        transport.close()
