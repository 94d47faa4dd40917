import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from api.batches import Batches


class Doubler:
    """Answers with twice the question once it is let go; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.at_work = 0
        self.most_at_work = 0
        self.gate = asyncio.Event()

    async def __call__(self, questions: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(questions))
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await self.gate.wait()
        finally:
            self.at_work -= 1
        if 13 in questions:
            raise ValueError("unlucky")
        return [2 * question for question in questions]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_lone_question_is_asked_at_once_and_alone() -> None:
    async def scene() -> None:
        doubler = Doubler()
        batches = Batches(doubler, largest=3, in_flight=2, few=1)
        first = asyncio.create_task(batches.ask(1))
        await settle()
        second = asyncio.create_task(batches.ask(2))
        await settle()
        assert doubler.batches == [[1], [2]]
        doubler.gate.set()
        assert await asyncio.gather(first, second) == [2, 4]

    asyncio.run(scene())


def test_questions_that_come_meanwhile_share_batches_of_bounded_size() -> None:
    async def scene() -> None:
        doubler = Doubler()
        batches = Batches(doubler, largest=3, in_flight=2, few=3)
        asked = []
        for question in range(10):
            asked.append(asyncio.create_task(batches.ask(question)))
            await settle()
        doubler.gate.set()
        assert await asyncio.gather(*asked) == [2 * question for question in range(10)]
        assert doubler.batches == [[0], [1], [2, 3, 4], [5, 6, 7], [8, 9]]
        assert doubler.most_at_work == 2

    asyncio.run(scene())


def test_beside_a_large_batch_nobody_goes_alone_and_once_it_is_answered_all_who_wait_go_together() -> None:
    async def scene() -> None:
        doubler = Doubler()
        batches = Batches(doubler, largest=9, in_flight=2, few=1)
        asked = [asyncio.create_task(batches.ask(0))]
        await settle()
        asked += [asyncio.create_task(batches.ask(question)) for question in (1, 2)]
        await settle()
        for question in (3, 4, 5):
            asked.append(asyncio.create_task(batches.ask(question)))
            await settle()
        assert doubler.batches == [[0], [1, 2]]
        doubler.gate.set()
        assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10]
        assert doubler.batches == [[0], [1, 2], [3, 4, 5]]

    asyncio.run(scene())


def test_an_error_is_told_to_all_of_its_batch_and_to_nobody_else() -> None:
    async def scene() -> None:
        doubler = Doubler()
        batches = Batches(doubler, largest=2, in_flight=1)
        asked = [asyncio.create_task(batches.ask(question)) for question in (12, 13, 14)]
        doubler.gate.set()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(result) for result in results] == [ValueError, ValueError, int]

    asyncio.run(scene())


def test_who_gives_up_is_not_asked_for() -> None:
    async def scene() -> None:
        doubler = Doubler()
        batches = Batches(doubler, largest=5, in_flight=1)
        first = asyncio.create_task(batches.ask(1))
        await settle()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await batches.ask(2)
        last = asyncio.create_task(batches.ask(3))
        await settle()
        doubler.gate.set()
        assert await asyncio.gather(first, last) == [2, 6]
        assert doubler.batches == [[1], [3]]

    asyncio.run(scene())


def test_who_asks_in_the_turn_in_which_another_is_answered_waits_for_nobody_who_has_left() -> None:
    async def at_once(questions: Sequence[int]) -> Sequence[int]:
        return [2 * question for question in questions]

    async def scene() -> None:
        batches = Batches(at_once, largest=3, in_flight=1)

        async def one_after_another(first: int) -> list[int]:
            return [await batches.ask(question) for question in range(first, first + 3)]

        async with asyncio.timeout(5):
            told = await asyncio.gather(one_after_another(0), one_after_another(10))
            assert list(told) == [[0, 2, 4], [20, 22, 24]]

    asyncio.run(scene())


def test_a_batch_knows_nothing_of_the_request_that_set_it_going() -> None:
    request: ContextVar[str] = ContextVar("request", default="nobody's")

    async def whose(questions: Sequence[int]) -> Sequence[str]:
        return [request.get() for _ in questions]

    async def scene() -> None:
        request.set("mine")
        assert await Batches(whose, largest=3, in_flight=1).ask(1) == "nobody's"

    asyncio.run(scene())
