"""python -m course_utils.assignments.selection JOB.json OUT.json: measure one candidate."""

import sys

from course_utils.assignments.selection.measuring import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
