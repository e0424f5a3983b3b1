"""Our side of the wall: starting workers, talking to them, replacing them."""
