"""What the stack can't do, in one whole sentence for the person who started it."""


class StackError(Exception):
    """The stack can't start or go on; its text is the one line that gets printed."""
