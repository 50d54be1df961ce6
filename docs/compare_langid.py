# Published cards name this path; the script is benchmarks/compare_langid.py.
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
runpy.run_module("compare_langid", run_name="__main__")
