"""The one exception that means: the input is at fault, and here is what to do about it."""


class ReknitError(Exception):
    """Bad input or an impossible request.

    The message is one line that says what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2.
    """
