"""Turns concurrent questions into few batches: at light load a question waits for nobody, under load they share."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batches(Generic[Question, Answer]):
    """Asks `run` for batches of up to `largest` questions, at most `in_flight` batches at a time.

    A question is taken at once while fewer are in flight, and those are of no more than `few` questions together; what
    arrives meanwhile goes together with the next. So questions at ease wait for nobody, and many share one batch rather
    than two of half the size. An error of `run` is raised to every question of its batch. Who gives up waiting is
    dropped from the queue.

    Batches run in a context of their own: what one question's request has set there is not the others'.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        largest: int,
        in_flight: int,
        few: int = 0,
    ) -> None:
        self._run = run
        self._largest = largest
        self._in_flight = in_flight
        self._few = few
        self._under_way = 0  # questions of the batches in flight
        self._waiting: deque[tuple[Question, asyncio.Future[Answer]]] = deque()
        self._workers: set[asyncio.Task[None] | None] = set()

    async def ask(self, question: Question) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if not self._workers or (len(self._workers) < self._in_flight and self._under_way <= self._few):
            self._workers.add(asyncio.create_task(self._worker(), context=Context()))
        return await answer

    async def _worker(self) -> None:
        try:
            await self._work()
        finally:  # not when the task is told to be done, a turn later: a question of that turn would wait for nobody
            self._workers.discard(asyncio.current_task())

    async def _work(self) -> None:
        # Where another batch is large, its worker takes what waits once that is answered.
        while self._under_way <= self._few and (batch := self._next()):
            self._under_way += len(batch)
            try:
                answers = await self._run([question for question, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            finally:
                self._under_way -= len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _next(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._largest:
            question, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((question, answer))
        return batch
