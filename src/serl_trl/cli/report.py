"""Draws a run folder as one HTML page, report.html in it, to be opened in a browser without a server or a network.

    serl-trl report runs/tiny

`serl-trl train` ends with it. Here it is drawn anew, or of a run that was killed or still goes on.
"""

import sys

from .parsers import LineParser


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with what the user gave."""
    parser = LineParser("report", __doc__)
    parser.add_argument("run_dir", help="the --output_dir of a run")
    args = parser.parse_args(flags)
    from ..reports import write_page  # late: it imports Matplotlib and more

    try:
        print(write_page(args.run_dir))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
