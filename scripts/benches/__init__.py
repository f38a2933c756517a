"""What `scripts/bench.py` is made of: the measure, the systems that take turns, and the scenarios."""
