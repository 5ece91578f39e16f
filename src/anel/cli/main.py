"""The command `anel`: takes the short way to `up` and `node`, and leaves the rest to click.

anel up ...      well-formed: no click, for the ring should answer within 0.3 s
anel node ...    likewise
anything else    anel.cli.commands, whose click tree also holds `up` and `node`
"""

import sys
import time


def main() -> None:
    """Run the command that this process's arguments name, and exit."""
    started_at = time.monotonic()
    if sys.platform == "win32":
        sys.exit(
            "L1: Anel runs on Linux and macOS; on Windows use WSL2: `wsl --install`, then "
            "`pip install anel` inside it"
        )
    if sys.argv[1:2] == ["up"]:
        from anel.cli import up_options

        options = up_options.read(sys.argv[2:])
        if options is not None:
            from anel.cli.up import run_or_tell

            sys.exit(run_or_tell(options, started_at))
    from anel.cli.commands import run

    sys.exit(run())
