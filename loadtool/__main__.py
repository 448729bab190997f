"""`loadtool` and `python -m loadtool`: the door, light enough that Ctrl-C finds it open at any moment."""

import signal
import sys


def main() -> int:
    """Run the command line; its exit code."""
    try:
        from loadtool.cli import main as command_line

        return command_line()
    except KeyboardInterrupt:  # while modules were loading, or while the last words were said
        try:
            sys.stderr.write("loadtool: interrupted\n")
        except (OSError, AttributeError):  # a full disk, or no standard error at all
            return 130
        return 130
    finally:
        # What is left is the interpreter's own end, which has nothing more to say about Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
