"""Turns to write: first come, first served, and a few in each round of the loop."""

import asyncio

from matching.marketdata.turnstile import Turn, Turnstile


async def test_other_work_gets_its_turn_between_a_few_writers() -> None:
    gate, turns = Turnstile(3), [Turn() for _ in range(10)]
    log: list[int | str] = []

    async def write(number: int) -> None:
        await turns[number].wait()
        log.append(number)

    writers = [asyncio.create_task(write(number)) for number in range(10)]
    await asyncio.sleep(0)
    for turn in turns:
        gate.ask(turn)
        gate.ask(turn)
    while len([entry for entry in log if entry != "order"]) < 10:
        await asyncio.sleep(0)
        log.append("order")
    await asyncio.gather(*writers)
    assert [entry for entry in log if entry != "order"] == list(range(10))
    rounds = "".join("|" if entry == "order" else "w" for entry in log).split("|")
    assert max(map(len, rounds)) <= 3


async def test_who_asks_again_waits_behind_the_others() -> None:
    gate, first, second = Turnstile(1), Turn(), Turn()
    served: list[str] = []

    async def serve(name: str, turn: Turn, times: int) -> None:
        for _ in range(times):
            gate.ask(turn)
            await turn.wait()
            served.append(name)

    await asyncio.gather(serve("a", first, 3), serve("b", second, 3))
    assert served == ["a", "b"] * 3
