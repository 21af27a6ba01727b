import os
import sys
from pathlib import Path


os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
os.environ.setdefault("OMP_NUM_THREADS", "2")

for folder in (Path(__file__).parent / "cases", Path(__file__).parent):  # the importlib mode of pytest leaves it alone
    sys.path.insert(0, str(folder))

import hypothesis


hypothesis.settings.register_profile("default", deadline=None)  # the machines that run this are noisy
hypothesis.settings.load_profile("default")

collect_ignore = ["distributed_rollout.py"]  # run by test_distributed.py in processes of its own
