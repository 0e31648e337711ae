"""Providers that fail in every way, pods that die, poison: nothing lost, nothing twice but as documented."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_works import Scripted, Works, states
from notifications.consumer import GROUP, REDRIVE, TOPIC, NoticeConsumer
from notifications.domain.notice import State
from notifications.domain.sending import AddressGone, ChannelKind, Failed, Message, Outcome, Refused, Sent
from notifications.receipts import Receipt
from notifications.store.told import NotReplayed
from prometheus_client import REGISTRY
from smartex.notifications.v1 import notice_pb2 as pb
from smartex_bus import Record, Topic, open_bus
from smartex_store import Database

FCM, EMAIL, SMS = ChannelKind.FCM, ChannelKind.EMAIL, ChannelKind.SMS
DOWN = Failed("UNAVAILABLE 503")
CUT = Failed("CONNECTION_LOST", maybe_sent=True)


# -- a pod is killed between send and record


@pytest.mark.parametrize(
    ("urgency", "idempotent", "sent", "state"),
    [
        (pb.URGENCY_HIGH, False, 2, State.SENT),  # presses: at most one duplicate
        (pb.URGENCY_NORMAL, False, 1, State.DEAD),  # does not press: perhaps sent, never twice
        (pb.URGENCY_NORMAL, True, 2, State.SENT),  # the provider drops the repeat by the same id
    ],
)
async def test_a_kill_between_send_and_record(
    works: Any, tmp_path: Path, urgency: int, idempotent: bool, sent: int, state: State
) -> None:
    channel = Scripted(FCM, idempotent=idempotent)
    made: Works = await works(channel, start=False)
    await made.reach(1, FCM)
    await made.tell(made.notice("n1", urgency=urgency))
    died = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parents[2] / "support/dying_pod.py"),
        made.database.url,
        str(tmp_path),
        str(FCM),
        str(idempotent),
    )
    assert await died.wait() == -9
    (left,) = await made.deliveries()
    assert left["state"] == State.SENDING
    assert left["attempt"] == 1

    await made.engine.start()
    try:
        (row,) = await made.later(seconds=10)
    finally:
        await made.engine.stop()
    before = (tmp_path / "sent.txt").read_text().split()
    assert len(before) + len(channel.ids) == sent
    assert set(before + channel.ids) == {row["delivery_id"]}
    assert row["state"] == state
    first, *rest = (await made.reader.attempts([row["delivery_id"]]))[row["delivery_id"]]
    assert first["outcome"] == "INTERRUPTED"
    assert first["maybe_sent"]
    assert len(rest) == sent - 1


async def test_another_pods_message_is_taken_up_only_when_its_lease_has_ended(works: Any) -> None:
    channel = Scripted(FCM, idempotent=True)
    made: Works = await works(channel)
    await made.reach(1, FCM)
    wait = asyncio.Event()

    async def hang(_: Message) -> None:
        await wait.wait()

    channel.on_send = hang
    await made.tell(made.notice("n1"))
    await _until(lambda: len(channel.sent) == 1)
    other = made.new_engine("two")
    assert await other.sweeper.sweep(mine=True) == 0
    made.clock.advance(seconds=31)
    assert await other.sweeper.sweep() == 1
    wait.set()
    channel.on_send = None
    await _until(lambda: not made.engine.lanes[FCM]._sending)
    rows = await made.later(seconds=10)
    assert states(rows) == [State.SENT]
    # What the first pod learned too late is kept with its attempt and changes nothing else.
    assert rows[0]["attempt"] == 2
    assert len(channel.sent) == 2


# -- providers that fail


async def test_a_provider_that_is_down_is_tried_again_until_it_works(works: Any) -> None:
    channel = Scripted(FCM, [DOWN, DOWN, DOWN])
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await made.tell(made.notice("n1", urgency=pb.URGENCY_NORMAL))
    (row,) = await made.settle(State.SENT)
    attempts = (await made.reader.attempts([row["delivery_id"]]))[row["delivery_id"]]
    assert [one["outcome"] for one in attempts] == ["UNAVAILABLE 503"] * 3 + ["SENT"]


async def test_a_provider_that_asks_for_time_is_given_it(works: Any) -> None:
    channel = Scripted(FCM, [Failed("RATE_LIMITED 429", retry_after=timedelta(minutes=7))])
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await made.tell(made.notice("n1"))
    await _until(lambda: len(channel.sent) == 1)
    (row,) = await made.settle(State.WAITING)
    assert row["due_time"] == made.clock.now + timedelta(minutes=7)
    await made.later(minutes=6, seconds=59)
    assert len(channel.sent) == 1
    (row,) = await made.later(seconds=1)
    assert row["state"] == State.SENT
    assert len(channel.sent) == 2


async def test_a_slow_provider_holds_up_no_other(works: Any) -> None:
    slow, quick = Scripted(FCM), Scripted(EMAIL)
    wait = asyncio.Event()

    async def hang(_: Message) -> None:
        await wait.wait()

    slow.on_send = hang
    made: Works = await works(slow, quick)
    await made.reach(1, FCM)
    await made.reach(2, EMAIL)
    await made.tell(made.notice("n1", 1), made.notice("n2", 2))
    await _until(lambda: len(quick.sent) == 1)
    assert states(await made.deliveries("n1")) == [State.SENDING]
    wait.set()
    await made.settle(State.SENT)


async def test_a_connection_cut_after_the_send_is_retried_only_where_it_presses(works: Any) -> None:
    channel = Scripted(FCM, [CUT, CUT, CUT])
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await made.tell(made.notice("n1", urgency=pb.URGENCY_NORMAL))
    (row,) = await made.settle(State.DEAD)
    assert row["state_reason"] == "MAYBE_SENT CONNECTION_LOST"
    assert len(channel.sent) == 1
    await made.tell(made.notice("n2", urgency=pb.URGENCY_CRITICAL))
    await _until(lambda: len(channel.sent) == 2)
    await made.settle(State.DEAD, State.WAITING)
    rows = await made.later(seconds=10)
    assert states(rows) == [State.DEAD, State.DEAD]
    # Cut twice: a third time would be a second duplicate.
    assert len(channel.sent) == 3
    assert channel.ids[1] == channel.ids[2] == rows[1]["delivery_id"]


async def test_a_dead_delivery_is_sent_again_when_an_operator_says_so(works: Any) -> None:
    channel = Scripted(FCM, [Refused("BAD_PAYLOAD")])
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await made.tell(made.notice("n1"))
    (row,) = await made.settle(State.DEAD)
    replay = await made.reader.replay(row["delivery_id"], made.clock())
    assert not isinstance(replay, NotReplayed)
    replayed, attempts = replay
    assert (replayed["state"], [one["outcome"] for one in attempts]) == (State.WAITING, ["BAD_PAYLOAD"])
    (row,) = await made.settle(State.SENT)
    assert channel.ids == [row["delivery_id"]] * 2
    assert await made.reader.replay(row["delivery_id"], made.clock()) is NotReplayed.NOT_DEAD
    assert await made.reader.replay("unknown", made.clock()) is NotReplayed.UNKNOWN


async def test_an_address_that_is_gone_is_removed_and_the_next_channel_tried(works: Any) -> None:
    phone, mail = Scripted(FCM, [AddressGone("UNREGISTERED 404")]), Scripted(EMAIL)
    made: Works = await works(phone, mail)
    await made.reach(1, FCM, EMAIL)
    await made.tell(made.notice("n1"))
    rows = await made.settle(State.DEAD, State.SENT)
    assert [(row["channel"], row["state"]) for row in rows] == [("fcm", State.DEAD), ("email", State.SENT)]
    removed = [row for row in await made.addresses.listed(1) if row["channel"] == "fcm"]
    assert removed[0]["state"] == 3
    assert removed[0]["remove_reason"] == "ADDRESS_GONE UNREGISTERED 404"
    assert removed[0]["sealed"] == b""


async def test_no_other_channel_is_tried_while_another_device_has_it(works: Any) -> None:
    phone, mail = Scripted(FCM, [AddressGone("UNREGISTERED 404")]), Scripted(EMAIL)
    made: Works = await works(phone, mail)
    await made.reach(1, FCM, EMAIL, devices=2)
    await made.tell(made.notice("n1"))
    rows = await made.settle(State.DEAD, State.SENT)
    assert sorted(states(rows)) == [State.SENT, State.DEAD]
    assert not mail.sent


async def test_a_channel_that_keeps_failing_rests_and_what_presses_goes_elsewhere(works: Any) -> None:
    phone, mail = Scripted(FCM, [DOWN] * 5), Scripted(EMAIL)
    made: Works = await works(phone, mail)
    for account in range(1, 7):
        await made.reach(account, FCM, EMAIL)
    # Five that do not press open the breaker, and wait for their retry.
    await made.tell(*(made.notice(f"n{one}", one, pb.URGENCY_NORMAL) for one in range(1, 6)))
    await _until(lambda: made.engine.breaker(FCM) == "open")
    await made.tell(made.notice("n6", 6, pb.URGENCY_CRITICAL))
    await _until(lambda: len(mail.sent) == 1)
    pressing = await made.deliveries("n6")
    assert pressing[0]["state_reason"].startswith("CHANNEL_RESTING")
    assert len(phone.sent) == 5
    await made.later(seconds=16)
    assert made.engine.breaker(FCM) == "closed"
    assert len(phone.sent) == 10
    assert sorted(set(states(await made.deliveries()))) == [State.SENT, State.DEAD]


# -- what changed while it waited or was on its way


async def test_nothing_is_sent_after_its_time(works: Any) -> None:
    channel = Scripted(FCM, [Failed("RATE_LIMITED 429", retry_after=timedelta(minutes=5))])
    made: Works = await works(channel)
    await made.reach(1, FCM)
    notice = made.notice("n1", urgency=pb.URGENCY_NORMAL)
    notice.expire_time.FromDatetime(made.clock.now + timedelta(minutes=10))
    await made.tell(notice)
    await _until(lambda: len(channel.sent) == 1)
    await made.settle(State.WAITING)
    (row,) = await made.later(minutes=11)
    assert row["state"] == State.EXPIRED
    assert len(channel.sent) == 1


async def test_what_is_replaced_while_it_is_being_sent_is_not_tried_again(works: Any) -> None:
    channel = Scripted(FCM, [DOWN])
    made: Works = await works(channel)
    await made.reach(1, FCM)

    async def replace(_: Message) -> None:
        channel.on_send = None
        made.clock.advance(seconds=1)
        await made.tell(made.notice("n2", supersede_key="alert"))

    channel.on_send = replace
    await made.tell(made.notice("n1", supersede_key="alert"))
    rows = await made.settle(State.SUPERSEDED, State.SENT)
    assert states(rows) == [State.SUPERSEDED, State.SENT]
    assert rows[0]["state_reason"] == "SUPERSEDED by n2"
    assert len(channel.sent) == 2


async def test_a_receipt_may_come_before_the_attempt_is_recorded(works: Any) -> None:
    channel = Scripted(FCM)
    made: Works = await works(channel)
    await made.reach(1, FCM)

    async def answer(_: Message) -> None:
        async with made.database.transaction() as connection:
            await made.receipts.take(connection, Receipt(FCM, "fcm-1", delivered=True, detail="success"))

    channel.on_send = answer
    await made.tell(made.notice("n1"))
    (row,) = await made.settle(State.DELIVERED)
    assert row["receipt"] == "success"
    assert row["receipt_time"] == made.clock.now


async def test_a_receipt_that_says_no_brings_the_next_channel(works: Any) -> None:
    phone, text = Scripted(FCM), Scripted(SMS)
    made: Works = await works(phone, text)
    await made.reach(1, FCM, SMS)
    await made.tell(made.notice("n1"))
    await made.settle(State.SENT)
    for _ in range(2):  # the repeat of a receipt has no effect
        async with made.database.transaction() as connection:
            await made.receipts.take(connection, Receipt(FCM, "fcm-1", delivered=False, detail="blocked"))
    rows = await made.settle(State.DEAD, State.SENT)
    assert states(rows) == [State.DEAD, State.SENT]
    assert len(text.sent) == 1


# -- notices that are poison


async def test_a_poison_notice_is_set_aside_and_the_others_arrive(works: Any, tables: Database) -> None:
    channel = Scripted(FCM)
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await tables.execute("DROP SCHEMA IF EXISTS bus CASCADE")
    async with await open_bus(tables.url) as bus:
        consumer = NoticeConsumer(bus, tables, made.intake)
        await consumer.start()
        wrong = made.notice("no/id", 1)
        appended = [made.notice("n1").SerializeToString(), b"\xff\xff", wrong.SerializeToString()]
        appended += [made.notice("n1").SerializeToString(), made.notice("n2").SerializeToString()]
        await bus.appender(TOPIC).append(*(Record(value, key=b"1") for value in appended))
        await _until(lambda: len(channel.sent) == 2)
        await consumer.stop()
        letters = await bus.dead_letters(GROUP)
        assert [letter.record.offset for letter in letters] == [1, 2]
        assert "DecodeError" in letters[0].reason
        assert "notice_id" in letters[1].reason
        # A second reader begins where the rows say, and takes nothing twice.
        again = NoticeConsumer(bus, tables, made.intake)
        await again.start()
        await bus.appender(TOPIC).append(Record(made.notice("n3").SerializeToString(), key=b"1"))
        await _until(lambda: len(channel.sent) == 3)
        await again.stop()
    assert len(set(channel.ids)) == 3


async def test_how_far_the_intake_is_behind_can_be_told(works: Any, tables: Database) -> None:
    def told() -> float | None:
        return REGISTRY.get_sample_value("notifications_lag_records")

    made: Works = await works()
    await tables.execute("DROP SCHEMA IF EXISTS bus CASCADE")
    async with await open_bus(tables.url) as bus:
        consumer = NoticeConsumer(bus, tables, made.intake)
        await bus.ensure_topics(Topic(TOPIC), Topic(REDRIVE))
        waiting = [Record(made.notice(f"n{number}").SerializeToString()) for number in range(3)]
        await bus.appender(TOPIC).append(*waiting)
        await bus.appender(REDRIVE).append(waiting[0])
        assert await consumer.lag() == 4
        await consumer.start()
        while await consumer.lag():
            await asyncio.sleep(0.01)
        await consumer.stop()
        await bus.appender(TOPIC).append(waiting[0])
        assert await consumer.lag() == 1
        await consumer._look()
        assert told() == 1


async def test_a_delivery_that_cannot_be_said_holds_up_no_other(works: Any, tables: Database) -> None:
    channel = Scripted(FCM)
    made: Works = await works(channel)
    await made.reach(1, FCM)
    await made.reach(2, FCM)
    notice = made.notice("n1", 1, urgency=pb.URGENCY_LOW)
    await made.tell(notice)
    await tables.execute("UPDATE notifications.notices SET content = '\\xff' WHERE notice_id = 'n1'")
    await tables.execute(
        "UPDATE notifications.deliveries SET due_time = $1, gathered = false WHERE state = 1", made.clock.now
    )
    await made.tell(made.notice("n2", 2, urgency=pb.URGENCY_NORMAL))
    rows = await made.settle(State.DEAD, State.SENT)
    assert states(rows) == [State.DEAD, State.SENT]
    assert rows[0]["state_reason"] == "CANNOT_BE_SAID DecodeError"


# -- everything at once


async def test_random_outcomes_double_nothing_but_what_is_documented(works: Any) -> None:
    dice = random.Random(7402)
    arrived: dict[str, int] = {}
    urgent: set[str] = set()

    class Rough(Scripted):
        async def send(self, address: Any, message: Message) -> Outcome:
            await super().send(address, message)
            assert message.expire_time is not None
            assert message.expire_time > made.clock.now
            later = Failed("LATER", timedelta(minutes=1))
            outcomes: list[Outcome] = [Sent("x"), DOWN, CUT, Refused("NO"), later]
            outcome = dice.choice(outcomes)
            if isinstance(outcome, Sent) or outcome == CUT:
                arrived[message.delivery_id] = arrived.get(message.delivery_id, 0) + 1
            if message.urgency >= 3:
                urgent.add(message.delivery_id)
            return outcome

    made: Works = await works(Rough(FCM), Rough(EMAIL))
    for account in range(1, 11):
        await made.reach(account, FCM, EMAIL)
    for number in range(150):
        urgency = dice.choice([pb.URGENCY_NORMAL, pb.URGENCY_HIGH, pb.URGENCY_CRITICAL])
        await made.tell(made.notice(f"n{number}", 1 + number % 10, urgency))
    for _ in range(4000):
        rows = await made.deliveries()
        if not {State.WAITING, State.SENDING} & set(states(rows)):
            break
        # A channel that failed too often rests, and is tried with a single message after that.
        made.clock.advance(seconds=30)
        made.engine.wake()
        await asyncio.sleep(0.03)
    assert not {State.WAITING, State.SENDING} & set(states(rows))
    assert max(count for one, count in arrived.items() if one not in urgent) == 1
    assert max(count for one, count in arrived.items() if one in urgent) == 2
    told = {row["notice_id"] for row in rows if row["state"] == State.SENT}
    given_up = {row["notice_id"] for row in rows} - told
    assert told
    assert given_up
    assert all(row["state_reason"] for row in rows if row["notice_id"] in given_up), (
        "what was not sent says why"
    )


async def _until(condition: Any, within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)
