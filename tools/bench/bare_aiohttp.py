"""The least that a client in Python can do: log in, then GET and parse one resource per BMC and interval."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time

import aiohttp
import orjson

from bench.simulated import PASSWORD, USER


async def main(ca_file: str, interval_s: float, path: str, urls: list[str]) -> None:
    """Poll until the process is ended."""
    connector = aiohttp.TCPConnector(
        limit=0, ssl=ssl.create_default_context(cafile=ca_file), keepalive_timeout=60
    )
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def poll(number: int, url: str) -> None:
            login = {"UserName": USER, "Password": PASSWORD}
            async with session.post(f"{url}/redfish/v1/SessionService/Sessions", json=login) as answer:
                headers = {"X-Auth-Token": answer.headers["X-Auth-Token"]}
            next_s = time.monotonic() + interval_s * number / len(urls)
            while True:
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))
                next_s += interval_s
                async with session.get(f"{url}{path}", headers=headers) as answer:
                    orjson.loads(await answer.read())

        await asyncio.gather(*(poll(number, url) for number, url in enumerate(urls)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
