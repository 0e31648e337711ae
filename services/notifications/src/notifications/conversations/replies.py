"""Replies from WeChat: an answer to a proposal, or words for the trader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from smartex_chassis import FailedPrecondition, InvalidInput, SmartexError

from notifications.conversations import wording
from notifications.conversations.store import TalkStore
from notifications.conversations.talking import Clock, Said, Talking
from notifications.domain.talk import MOST_TEXT, Answer, Party, printable, read_answer

_PATIENCE_SECONDS = 3.5

Language = Callable[[int], Awaitable[str]]
"""The language of an account's reader."""


class TalkReplies:
    """Turns what a linked reader writes into what it means; the answer is shown in WeChat."""

    def __init__(self, talk: TalkStore, talking: Talking, language: Language, clock: Clock) -> None:
        self._talk = talk
        self._talking = talking
        self._language = language
        self._clock = clock

    async def on_text(self, account_id: int, text: str, key: str) -> str:
        """Take a reply; `key` is the same when WeChat tells it again."""
        language = await self._language(account_id)
        text = printable(text).strip()
        answer = read_answer(text)
        if answer is None:
            return await self._pass_on(account_id, text, key, language)
        proposal = await self._meant(account_id, answer, language)
        if not isinstance(proposal, str) and await self._is_talk(answer, proposal):
            said = await self._pass_on(account_id, text, key, language)
            return f"{said}\n{wording.say('which', language, number=proposal['number'])}"
        if isinstance(proposal, str):
            return proposal
        answering = asyncio.ensure_future(
            self._talking.answer(
                account_id,
                proposal["proposal_id"],
                accept=answer.accept,
                text=text,
                origin="wechat",
            )
        )
        try:
            answered = await asyncio.wait_for(asyncio.shield(answering), _PATIENCE_SECONDS)
        except TimeoutError:
            # It goes on; WeChat waits for an answer five seconds and no longer.
            answering.add_done_callback(_noted)
            return wording.say("away", language)
        except FailedPrecondition as error:
            if error.reason != "PROPOSAL_CLOSED":
                return wording.say("away", language)
            return wording.say("closed", language, number=proposal["number"])
        except SmartexError:
            return wording.say("away", language)
        return wording.outcome(answered, language)

    async def _meant(self, account_id: int, answer: Answer, language: str) -> asyncpg.Record | str:
        """The proposal that an answer means, or what to say if that is not clear."""
        if answer.number:
            found = await self._talk.numbered(account_id, answer.number)
            return found or wording.say("unknown", language, number=answer.number)
        waiting = await self._talk.open_proposals(account_id, self._clock())
        if not waiting:
            return wording.say("none", language)
        if len(waiting) > 1:
            return wording.say("several", language, number=waiting[0]["number"])
        return waiting[0]

    async def _is_talk(self, answer: Answer, proposal: asyncpg.Record) -> bool:
        """Whether "ok" without a number may be meant for what the trader has said since: it must not trade then."""
        return answer.accept and not answer.number and not await self._talk.is_last_word(proposal)

    async def _pass_on(self, account_id: int, text: str, key: str, language: str) -> str:
        thread = await self._talk.newest_thread(account_id)
        if thread is None or not text:
            return wording.say("nobody", language)
        said = Said(text[:MOST_TEXT], None, None, "wechat", f"wechat:{key}")
        try:
            await self._talking.post(thread, Party.INVESTOR, said)
        except FailedPrecondition:
            return wording.say("nobody", language)
        except InvalidInput as error:
            # WeChat tells it again, and another thread is the newest by now: it was passed on the first time.
            if error.reason != "REQUEST_ID_USED":
                raise
        return wording.say("passed_on", language)


def _noted(answering: asyncio.Future[Any]) -> None:
    """Take note of how an answer that nobody waits for ended; the settler finishes what it left."""
    if not answering.cancelled():
        answering.exception()
