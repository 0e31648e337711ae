"""What went wrong in Chinese; English is what the exchange and the SDK say.

Refusals by the market are in both languages already (`smartex_client.messages`). What names a wrong field is for who
wrote it, and stays English.
"""

from __future__ import annotations

from smartex_client.errors import OffLot, OffTick, SmartexError
from smartex_client.messages import CHINESE, grouped

_CHINESE = {
    "ACCOUNT_UNKNOWN": "没有这个账户，或无权查看",
    "ADDRESS_UNKNOWN": "没有这个地址",
    "ADVICE_CLOSED": "这条建议已关闭：请查看当前的建议",
    "ADVICE_UNKNOWN": "没有这条建议",
    "ADVICE_WAITS": "相关品种暂停交易：恢复后再接受，未提交任何委托",
    "ALERT_UNKNOWN": "没有这条预警",
    "BOOK_NOT_READY": "持仓数据正在读取：请稍后再试",
    "CODE_EXPIRED": "验证码已过期，或错误次数过多：请重新添加地址",
    "CONNECTION_LOST": "连接中断：请稍后再试",
    "DELIVERY_UNKNOWN": "没有这次投递",
    "INSTRUMENT_NOT_FOUND": "没有这个品种：可用 `smartex instrument list` 查看",
    "KEYS_UNAVAILABLE": "暂时无法验证令牌：请稍后再试",
    "MANDATE_MISSING": "双方之间没有授权：须由投资者先授权",
    "MANDATE_UNKNOWN": "没有对该交易员的授权",
    "MARKET_AWAY": "市场暂时没有应答：请稍后再试，委托不会重复",
    "NO_ANSWER": "交易所没有及时应答：请稍后再试",
    "ORDER_NOT_FOUND": "本账户没有这笔委托：请核对编号",
    "PROPOSAL_CLOSED": "这条交易建议已关闭",
    "PROPOSAL_UNKNOWN": "没有这条交易建议",
    "QUEUE_FULL": "交易所繁忙：请稍后再试",
    "RATE_LIMITED": "委托过于频繁：请放慢速度",
    "STARTING": "交易所正在启动：请稍后再试",
    "THREAD_UNKNOWN": "没有这个会话",
    "TOKEN_EXPIRED": "令牌已过期",
    "TOKEN_MALFORMED": "这不是有效的令牌",
    "TOKEN_MISSING": "需要令牌",
    "TOO_MANY_ADDRESSES": "地址数量已达上限：请先移除一个",
    "TOO_MANY_CODES": "今日发送的验证码过多：请明天再试",
    "TOO_MANY_RPCS": "同时的请求过多：请稍后再试",
    "TRACE_UNKNOWN": "没有关于此编号的记录",
    "UNKNOWN_INSTRUMENT": "没有这个品种：可用 `smartex instrument list` 查看",
    "UNREACHABLE": "无法连接交易所：请确认它正在运行",
    "WECHAT_UNAVAILABLE": "微信暂时无法生成二维码：请稍后再试",
}


def in_words(error: SmartexError, language: str) -> str:
    """What an error says, in the language as far as there are words."""
    if language != CHINESE:
        return str(error)
    nearest = (grouped(error.below), grouped(error.above)) if isinstance(error, OffTick | OffLot) else ()
    if isinstance(error, OffTick):
        return "价格不合最小变动价位：最近的有效价格为 {} 和 {}".format(*nearest)
    if isinstance(error, OffLot):
        return "数量不合数量单位：最近的有效数量为 {} 和 {}".format(*nearest)
    return _CHINESE.get(error.reason, str(error))
