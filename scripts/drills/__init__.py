"""Drills on real node processes: what they survive, and what accidents look like. Started by `scripts/drill.py`."""
