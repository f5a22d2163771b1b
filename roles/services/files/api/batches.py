"""Brings single requests together into batches for a model that computes many as quickly as one. Needs nothing but Python.

Installed by role services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

Waiting = tuple[Asked, "asyncio.Future[Answer]"]


class FullError(Exception):
    """As many requests wait already as may wait."""


class Batches(Generic[Asked, Answer]):
    """A queue in front of `predict`, which gets lists of 1 to `most` requests and returns as many answers.

    wait: seconds that the first request of a batch waits for others, unless the batch is full before.
    queue: requests that may wait; more are refused at once, since they would only be answered too late.
    seen: is told the size of each batch. The model is asked in one thread: it is never used twice at the same time.
    """

    def __init__(
        self,
        predict: Callable[[list[Asked]], Sequence[Answer]],
        *,
        most: int,
        wait: float,
        queue: int,
        seen: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._predict, self._most, self._wait, self._seen = predict, most, wait, seen
        self._queue: asyncio.Queue[Waiting[Asked, Answer]] = asyncio.Queue(queue)
        self._thread = ThreadPoolExecutor(1, "model")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that are not in a batch yet."""
        return self._queue.qsize()

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """Answer what waits, then end."""
        await self._queue.join()
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()

    async def ask(self, asked: Asked) -> Answer:
        """The model's answer. Raises FullError, or what the model raised for this request."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((asked, answer))
        except asyncio.QueueFull as error:
            raise FullError from error
        return await answer

    async def _work(self) -> None:
        while True:
            batch = await self._gathered()
            try:
                wanted = [one for one in batch if not one[1].cancelled()]  # whose client is still there
                if wanted:
                    self._seen(len(wanted))
                    await self._answer(wanted)
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _gathered(self) -> list[Waiting[Asked, Answer]]:
        batch = [await self._queue.get()]
        deadline = asyncio.get_running_loop().time() + self._wait
        while len(batch) < self._most:
            if not self._queue.empty():
                batch.append(self._queue.get_nowait())
                continue
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                batch.append(await asyncio.wait_for(self._queue.get(), left))
            except asyncio.TimeoutError:  # noqa: UP041 (the same only since Python 3.11)
                break
        return batch

    async def _answer(self, batch: Sequence[Waiting[Asked, Answer]]) -> None:
        """Ask the model. What makes a batch fail fails alone: each of its requests is asked by itself."""
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._predict, [asked for asked, _ in batch])
            if len(answers) != len(batch):
                raise ValueError(f"the model gave {len(answers)} answers to {len(batch)} requests")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 (whatever a model raises)
            if len(batch) > 1:
                for one in batch:
                    await self._answer([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, waiting), answer in zip(batch, answers):  # noqa: B905 (of one length; Python 3.9 has no `strict`)
            if not waiting.done():
                waiting.set_result(answer)
