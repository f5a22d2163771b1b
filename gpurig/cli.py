"""temporary"""

import sys

from gpurig import config, engine
from gpurig import stack as st
from gpurig.errors import RigError


def main():
    s = st.open_stack()
    rep = lambda line: print(line, file=sys.stderr, flush=True)
    try:
        if sys.argv[1] == "up":
            print(engine.up(s, config.load(s), report=rep))
        if sys.argv[1] == "preview":
            print(engine.preview(s, config.load(s)))
        if sys.argv[1] == "down":
            print(engine.down(s, None, report=rep))
        if sys.argv[1] == "refresh":
            print(engine.refresh(s, report=rep))
    except RigError as e:
        print(e, file=sys.stderr)
        sys.exit(e.exit_code)
