"""WeChat official account (服务号), and what WeCom shares with it: token calls, callback crypto, callback events."""
