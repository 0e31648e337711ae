"""What the exchange itself says in a conversation or answers in WeChat, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from smartex.notifications.v1 import conversation_service_pb2 as pb

_CHINESE = {
    "accepted": "已同意交易建议 {number}。",
    "declined": "已拒绝交易建议 {number}。",
    "closed": "交易建议 {number} 已失效，无法再回复。",
    "none": "没有等待您回复的交易建议。",
    "several": "有多条交易建议等待回复，请写明编号，例如：同意{number}",
    "which": "如要同意交易建议 {number}，请回复：同意{number}",
    "unknown": "没有编号为 {number} 的交易建议。",
    "passed_on": "已转给您的交易员。",
    "nobody": "您还没有授权交易员，消息未转达。",
    "away": "交易所暂时无法应答，请稍后再回复一次；委托不会重复。",
    "placed": "{symbol}：已提交，成交 {filled}",
    "refused": "{symbol}：被拒绝（{reason}）",
}
_ENGLISH = {
    "accepted": "Proposal {number} is accepted.",
    "declined": "Proposal {number} is declined.",
    "closed": "Proposal {number} is closed; it can no longer be answered.",
    "none": "No proposal waits for your answer.",
    "several": "Several proposals wait for an answer; say which, e.g. ok {number}",
    "which": "To accept proposal {number}, say its number: ok {number}",
    "unknown": "There is no proposal {number}.",
    "passed_on": "Passed on to your trader.",
    "nobody": "You have given no trader a mandate; nobody heard this.",
    "away": "The exchange does not answer; reply again in a moment. Nothing is ordered twice.",
    "placed": "{symbol}: placed, {filled} lots traded",
    "refused": "{symbol}: refused ({reason})",
}


def say(key: str, language: str, **values: object) -> str:
    """Words for a key in a language ("zh-CN", else English)."""
    return (_CHINESE if language == "zh-CN" else _ENGLISH)[key].format(**values)


def outcome(proposal: pb.Proposal, language: str) -> str:
    """What became of an answered proposal: a line, and one for each order."""
    key = "accepted" if proposal.state == pb.PROPOSAL_STATE_ACCEPTED else "declined"
    symbols = {order.client_order_id: order.symbol for order in proposal.orders}
    return "\n".join(
        [say(key, language, number=proposal.number), *results(symbols, proposal.results, language)]
    )


def results(symbols: dict[int, str], found: Sequence[pb.OrderResult], language: str) -> list[str]:
    """A line for each order."""
    lines = []
    for each in found:
        symbol = symbols.get(each.client_order_id, "")
        key = "placed" if each.accepted else "refused"
        lines.append(say(key, language, symbol=symbol, filled=each.filled_lots, reason=each.reason))
    return lines
