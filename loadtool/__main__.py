"""`loadtool` and `python -m loadtool`: the door, light enough that Ctrl-C finds it open at any moment."""

import gc
import os
import signal
import sys


def main() -> int:
    """Run the command line; its exit code."""
    try:
        # Whoever started us may ignore it, and then the kernel forgets how our children ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.getpid() == 1:  # as in a container: nothing happens to it at a signal that it does not heed
            for ending in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(ending) is signal.SIG_DFL:
                    signal.signal(ending, lambda number, _: os._exit(128 + number))
        # What is loaded here stays: to look for garbage among it takes a quarter of the time of loading.
        gc.disable()
        from loadtool.cli import main as command_line

        gc.freeze()
        gc.enable()
        return command_line()
    except KeyboardInterrupt:  # while modules were loading, or while the last words were said
        try:
            sys.stderr.write("loadtool: interrupted\n")
        except (OSError, AttributeError):  # a full disk, or no standard error at all
            return 130
        return 130
    finally:
        # What is left is the interpreter's own end: all is said, and the exit code stands.
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
