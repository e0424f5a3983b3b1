"""Pure translations between what people write and what crosses the wire. No I/O."""
