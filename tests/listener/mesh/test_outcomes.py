"""What becomes of tracked messages."""

import asyncio

from listener.mesh import outcomes
from listener.mesh.outcomes import ACK_S, WAITING_MAX, Outcome, Outcomes


async def test_the_first_word_is_for_the_first_message_of_that_node() -> None:
    waiting = Outcomes()
    first, second, other = waiting.expect(5, 0.0), waiting.expect(5, 1.0), waiting.expect(6, 2.0)
    waiting.ended(5, delivered=True, attempts=2)
    assert first.ended.result() == Outcome("delivered", 2)
    assert not second.ended.done()
    waiting.ended(5, delivered=False, attempts=4)
    assert second.ended.result() == Outcome("failed", 4, "not delivered in 4 attempts")
    assert not other.ended.done()
    assert len(waiting) == 1


async def test_a_word_that_nobody_waits_for_is_no_ones() -> None:
    waiting = Outcomes()
    waiting.ended(5, delivered=True, attempts=1)
    message = waiting.expect(5, 0.0)
    assert not message.ended.done()


async def test_what_was_not_sent_does_not_wait_and_may_be_taken_back_late() -> None:
    waiting = Outcomes()
    first, second = waiting.expect(5, 0.0), waiting.expect(5, 0.0)
    waiting.take_back(first)
    waiting.ended(5, delivered=True, attempts=1)
    assert second.ended.result().state == "delivered"
    waiting.take_back(second)
    waiting.take_back(first)
    assert (len(waiting), first.ended.cancelled()) == (0, True)


async def test_what_is_not_told_in_time_will_not_be_known() -> None:
    waiting = Outcomes()
    old, young = waiting.expect(5, 0.0), waiting.expect(5, 1.0)
    waiting.expire(ACK_S)
    assert old.ended.result().state == "unknown"
    assert not young.ended.done()
    waiting.expire(ACK_S + 1)
    assert (young.ended.result().state, len(waiting)) == ("unknown", 0)


async def test_when_the_root_is_gone_nothing_will_be_known() -> None:
    waiting = Outcomes()
    messages = [waiting.expect(addr, 0.0) for addr in (5, 5, 6)]
    waiting.give_up("it is gone")
    assert {message.ended.result() for message in messages} == {Outcome("unknown", reason="it is gone")}
    assert len(waiting) == 0


async def test_only_so_many_wait_for_a_node() -> None:
    waiting = Outcomes()
    messages = [waiting.expect(5, 0.0) for _ in range(WAITING_MAX + 1)]
    assert len(waiting) == outcomes.WAITING_MAX
    assert messages[0].ended.result().state == "unknown"
    assert not messages[1].ended.done()


async def test_a_message_waits_for_the_one_before_it_once_the_root_is_known_to_tell() -> None:
    waiting = Outcomes()
    for addr in (5, 5):  # of firmware that tells nothing it is not known
        await waiting.turn(addr)
        waiting.expect(addr, 0.0)
    waiting.ended(5, delivered=True, attempts=1)
    order: list[int] = []

    async def send(number: int) -> None:
        await waiting.turn(5)
        waiting.expect(5, 0.0)
        order.append(number)

    await waiting.turn(6)  # nothing is on its way there
    sending = [asyncio.create_task(send(number), name="send") for number in range(3)]
    for done in range(3):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(order) == done
        waiting.ended(5, delivered=True, attempts=1)
        async with asyncio.timeout(15):
            await sending[done]
    assert order == [0, 1, 2]


async def test_who_does_not_wait_for_his_turn_any_more_lets_the_next_one() -> None:
    waiting = Outcomes()
    first = waiting.expect(5, 0.0)
    waiting.ended(5, delivered=True, attempts=1)
    first = waiting.expect(5, 0.0)
    tasks = [asyncio.create_task(waiting.turn(5), name="wait") for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    waiting.take_back(first)
    async with asyncio.timeout(15):
        await tasks[1]


async def test_whoever_has_stopped_waiting_disturbs_nobody() -> None:
    waiting = Outcomes()
    message = waiting.expect(5, 0.0)
    message.ended.cancel()
    await asyncio.sleep(0)
    waiting.ended(5, delivered=True, attempts=1)
    assert len(waiting) == 0
