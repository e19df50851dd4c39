"""A relay for HTTP that traces nothing, as anybody would write it with aiohttp.

A process of its own: `python -m bench.bare_http UPSTREAM_PORT`, which prints its port.
"""

import asyncio
import sys

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "host"})


async def _serve(upstream_port: int) -> None:
    upstream = f"http://127.0.0.1:{upstream_port}"
    async with ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as session:

        async def relay(request: web.Request) -> web.StreamResponse:
            headers = [
                (name, value)
                for name, value in request.headers.items()
                if name.lower() not in HOP_BY_HOP
            ]
            body = request.content if request.body_exists else None
            async with session.request(
                request.method, upstream + request.path_qs, headers=headers, data=body
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print("port", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
