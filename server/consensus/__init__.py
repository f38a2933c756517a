"""In what order: a lightweight PBFT as a pure object. It orders opaque records and never learns what they mean.

`Replica.step(now_ms, event)` returns the effects to perform, in that order. It owns no socket, disk, clock, thread or
random number: the same events give the same effects. How to drive it stands in `replica.py`; where it differs from
Castro and Liskov's paper, and why, in the module that differs.
"""
