"""What decoding JSON or TOML may raise, whatever the bytes are."""

import msgspec

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""Of another form; not text, or a number too long to be one; lists within lists without end."""
