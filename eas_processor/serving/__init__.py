"""The core: what a service is, how it lives, and how a call goes through it. Knows no dialect."""
