"""Headings, states and advice of the command in Chinese; English is what the code says."""

from __future__ import annotations

from smartex_client.messages import CHINESE

_CHINESE = {
    "error": "错误",
    "order": "委托",
    "orders": "笔数",
    "symbol": "代码",
    "name": "名称",
    "side": "方向",
    "buy": "买入",
    "sell": "卖出",
    "price": "价格",
    "quantity": "数量",
    "open": "未成交",
    "filled": "已成交",
    "status": "状态",
    "why": "原因",
    "time": "时间",
    "tif": "有效期",
    "fee": "费用",
    "value": "成交额",
    "fees": "费用合计",
    "trade": "成交号",
    "role": "角色",
    "bid": "买盘",
    "ask": "卖盘",
    "last": "最新价",
    "high": "最高",
    "low": "最低",
    "close": "收盘",
    "volume": "成交量",
    "currency": "货币",
    "total": "总额",
    "held": "冻结",
    "free": "可用",
    "bought today": "当日买入",
    "available": "可卖",
    "account": "账户",
    "open orders": "未完成委托",
    "kind": "类型",
    "amount": "金额",
    "sequence": "序号",
    "tick": "最小变动价位",
    "lot": "最小数量单位",
    "board lot": "每手数量",
    "limits": "涨跌幅",
    "state": "交易状态",
    "pod": "节点",
    "bus": "日志引擎",
    "published": "已发布",
    "projected": "已入库",
    "accounts": "账户数",
    "instruments": "品种数",
    "trading day": "交易日",
    "market time": "市场时间",
    "version": "版本",
    "halted because": "停机原因",
    "exchange": "交易所",
    "profile": "配置",
    "cancelled": "已撤销",
    "rejected": "已拒绝",
    "partially_filled": "部分成交",
    "accepted": "已接受",
    "halted": "暂停",
    "closed": "闭市",
    "orders cancelled": "笔委托已撤销",
    "nothing": "没有记录",
    "; choose a profile with --as, or make a token with `smartex token issue`": (
        "；请用 --as 选择配置，或用 `smartex token issue` 生成令牌"
    ),
    "; choose another profile with --as (operators: --as operator)": (
        "；请用 --as 选择其他配置（管理员：--as operator）"
    ),
    "; `make up` starts one here, --url names another": "；可用 `make up` 在本机启动，或用 --url 指定地址",
}


def label(text: str, language: str) -> str:
    """`text` in the language; itself where there is no translation."""
    return _CHINESE.get(text, text) if language == CHINESE else text
