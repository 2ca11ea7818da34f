"""A line to the coordinator that can be cut, mended, slowed down and half closed."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Way(enum.Enum):
    """The two directions of a line."""

    THERE = "to the coordinator"
    BACK = "to the worker"


class Proxy:
    """Listens on loopback and passes bytes on to an address, both ways, while the line is whole.

    Args:
        address: where to, ``host:port``.

    Attributes:
        address: where it listens itself.
        delay: seconds that whatever is sent takes, each way.
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._whole = True
        self.delay = 0.0
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = {way: asyncio.Event() for way in Way}
        for flow in self._flows.values():
            flow.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sparkopt-test-proxy")
        self._thread.start()
        self.address = self._ask(self._listen())

    def cut(self) -> None:
        """Break every connection, and every one that is tried before :meth:`mend`."""
        self._ask(self._cut())

    def mend(self) -> None:
        """Let new connections through, and whatever was held."""
        self._ask(self._mend())

    def hold(self, *ways: Way) -> None:
        """Let nothing through in these directions, new connections included, and tell neither end.

        Nothing is lost: it arrives after :meth:`mend`, as what TCP sends again does.
        """
        self._ask(self._hold(ways))

    def swallow(self, *ways: Way) -> None:
        """Let what the connections of now carry in these directions vanish; new connections are whole."""
        self._ask(self._swallow(ways))

    def close(self) -> None:
        """Break every connection and stop listening."""
        self._ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def _cut(self) -> None:
        self._whole = False
        for connection in self._connections:
            connection.abort()

    async def _mend(self) -> None:
        self._whole = True
        for flow in self._flows.values():
            flow.set()

    async def _hold(self, ways: tuple[Way, ...]) -> None:
        for way in ways:
            self._flows[way].clear()

    async def _swallow(self, ways: tuple[Way, ...]) -> None:
        for connection in self._connections:
            connection.deaf.update(ways)

    async def _close(self) -> None:
        self._server.close()
        await self._mend()  # what is held holds its task
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._host, self._port)
        connection = _Connection((writer, back))
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pass(connection, reader, back, Way.THERE),
                self._pass(connection, there, writer, Way.BACK),
            )
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _pass(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)
        delivering = self._loop.create_task(self._deliver(connection, under_way, writer, way))
        try:
            while data := await reader.read(2**16):
                await under_way.put((self._loop.time() + self.delay, data))
        except ConnectionError:
            pass
        finally:
            delivering.cancel()
            connection.abort()

    async def _deliver(
        self,
        connection: _Connection,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        way: Way,
    ) -> None:
        try:
            while True:
                arrival, data = await under_way.get()
                if (early := arrival - self._loop.time()) > 0:
                    await asyncio.sleep(early)
                await self._flows[way].wait()
                if way not in connection.deaf:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            connection.abort()


class _Connection:
    """A worker's connection and the one that it is passed on by."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, ...]) -> None:
        self._writers = writers
        self.deaf: set[Way] = set()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
