"""How long host and worker stay awake for one another; `pool/awake.py` tells why.

Events are what crosses the wall: for the host calls and answers, for the worker what it reads.
"""

CLOSE_S = 0.001  # events that follow each other within this may be worth staying awake
AWAKE_S = 0.0006  # they are if, awake, they follow within this
CLOSE_EVENTS = 8  # so many must have followed each other closely first
