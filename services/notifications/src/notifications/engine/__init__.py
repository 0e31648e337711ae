"""The delivery engine: a lane a channel over one table, which several pods share.

lane      claims what is due, the most urgent first, and sends it
preparing the last look before sending, and the words
recording what became of it, and what follows: retry, removal, fallback
sweeping  what a pod that died was sending
"""
