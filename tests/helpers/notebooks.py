"""Runs a notebook: `python tests/helpers/notebooks.py examples/serl_trl.ipynb` stores it with fresh outputs."""

import sys
from pathlib import Path


def executed(path, folder, timeout=2000):
    """The notebook with the outputs of a run in `folder`, by this interpreter; stderr is left out."""
    import nbformat
    from jupyter_client import KernelManager
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    manager = KernelManager()
    specification = manager.kernel_spec
    assert specification is not None, "ipykernel is not installed"
    specification.argv[0] = sys.executable
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=timeout, startup_timeout=300, km=manager, resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which differ from run to run
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def printed(notebook):
    """All text that its cells put out."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(texts)


if __name__ == "__main__":
    import nbformat

    nbformat.write(executed(sys.argv[1], Path(sys.argv[1]).parent), sys.argv[1])
