"""Losses written out with Python loops, to hold the fast ones against: the twin of `losses/NAME.py` is `NAME.py`."""
