"""Write matplotlib's list of fonts into MPLCONFIGDIR, with none but those it carries itself."""

from pathlib import Path

import matplotlib
from matplotlib import font_manager

fonts = font_manager.fontManager
for kind in ("ttflist", "afmlist"):
    entries = getattr(fonts, kind)
    own = [entry for entry in entries if entry.fname.startswith(matplotlib.get_data_path())]
    setattr(fonts, kind, own)
name = f"fontlist-v{font_manager.FontManager.__version__}.json"
font_manager.json_dump(fonts, Path(matplotlib.get_cachedir(), name))
