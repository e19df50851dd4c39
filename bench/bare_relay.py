"""A WebSocket relay that traces nothing, by aiohttp's ordinary API: what we are compared with.

A process of its own: `python -m bench.bare_relay UPSTREAM_PORT`, which prints its port. It takes
what aiohttp offers to be fast: no compression, and texts that are not decoded.
"""

import asyncio
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType, web

PASSED_ON = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG})

Socket = web.WebSocketResponse[bool] | ClientWebSocketResponse[bool]


async def _pump(source: Socket, sink: Socket) -> None:
    while True:
        message = await source.receive()
        if message.type not in PASSED_ON:
            await sink.close()
            return
        await sink.send_frame(message.data, message.type)


async def _serve(upstream_port: int) -> None:
    url = f"http://127.0.0.1:{upstream_port}/v1/responses"
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def relay(request: web.Request) -> web.WebSocketResponse[bool]:
            headers = {"Authorization": request.headers["Authorization"]}
            async with session.ws_connect(
                url, autoping=False, max_msg_size=0, compress=0, decode_text=False, headers=headers
            ) as upstream:
                downstream: web.WebSocketResponse[bool] = web.WebSocketResponse(
                    autoping=False, max_msg_size=0, compress=False, decode_text=False
                )
                await downstream.prepare(request)
                await asyncio.gather(_pump(downstream, upstream), _pump(upstream, downstream))
            return downstream

        app = web.Application()
        app.router.add_get("/v1/responses", relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print("port", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
