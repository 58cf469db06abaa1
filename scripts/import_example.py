"""An import script in five lines: a night's export of one hospital; it can be run twice, and its exit code says whether rows wait to be corrected."""
import subprocess
import sys

done = subprocess.run(["yilian", "import", "hospital-a", *sys.argv[1:], "--out", "import-report", "--max-rejects", "1%"])
sys.exit(done.returncode)
