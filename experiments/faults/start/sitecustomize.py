"""Found on the path of a run that begins as any program does: the hooks come before all else."""

import json
import os
import sys
from pathlib import Path

_plan = os.environ.get("LANDSCAPE_FAULTS")
_roles = {"--multiprocessing-fork": "worker", "landscape": "driver"}
_role = next((_roles[word] for word in sys.orig_argv if word in _roles), None)
if _plan and _role:
    sys.path.append(str(Path(__file__).parents[1]))
    import hooks

    hooks.install(json.loads(Path(_plan).read_text()), _role)
