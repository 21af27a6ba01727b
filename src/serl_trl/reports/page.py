"""`report.html`: one page about a run that needs neither server nor network, out of its run folder."""

import base64
import hashlib
import logging
import re
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ..runtime import written_whole
from .page_sections import page_contents
from .run_folder import RunFolder


logger = logging.getLogger(__name__)

PAGE_FILE = "report.html"


def write_page(run_dir: str | Path) -> Path:
    """
    Writes `report.html` into a run folder.

    Everything from the run is escaped: models write anything. What is missing in the folder is missing in the page, which
    says so, and how to get it.

    Args:
        run_dir (`str` or `Path`): The run folder, of a run that ended, was killed, or goes on.

    Returns:
        `Path`: The page.

    Raises:
        ValueError: If it is no run folder.
    """
    folder = RunFolder(run_dir)
    files = resources.files(__package__).joinpath("templates")
    script = files.joinpath("report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["flags"] = flags_as_code
    template = environment.from_string(files.joinpath("report.html").read_text(encoding="utf-8"))
    text = template.render(
        **page_contents(folder),
        script=script,
        # with this hash a browser runs this script and no other, whatever else the page may hold
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=files.joinpath("report.css").read_text(encoding="utf-8"),
    )
    path = folder.path / PAGE_FILE
    with written_whole(path) as temporary:
        temporary.write_text(
            text.replace("\0", "\ufffd"), encoding="utf-8", errors="replace"
        )  # surrogates on their own
    return path


def page_or_warning(run_dir: str | Path) -> Path | None:
    """[`write_page`] for the end of a run, which no error in drawing may turn into a failure: that is logged, with its cause."""
    try:
        return write_page(run_dir)
    except Exception as error:
        logger.warning(
            f"The page about the run could not be drawn ({type(error).__name__}: {error}). The run itself is done; "
            f"`serl-trl report {run_dir}` tries again.",
            exc_info=True,
        )
        return None


def flags_as_code(text: str) -> Markup:
    """
    A text with the command-line flags in it set as code, which does not break behind a dash.

    Example:

    ```python
    >>> flags_as_code("Give --eval_file FILE, not <b>.")
    Markup('Give <code>--eval_file</code> FILE, not &lt;b&gt;.')

    ```
    """
    return Markup(re.sub(r"(?<![\w-])--[a-z_]+", r"<code>\g<0></code>", str(escape(text))))
