"""Conversations: threads between investors and traders, proposals that place orders, replies from WeChat."""
