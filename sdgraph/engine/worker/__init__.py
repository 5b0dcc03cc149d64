"""Worker processes: runs happen in a process of their own, one per device, driven over one small protocol.

`frames` is what goes over the channel and `job` what is asked for; `loop` and `outbox` are the worker's side, `process`
and `supervisor` the other one, on asyncio. What a run needs (stores, the model pool) is put together above this room.
"""
