"""What must hold of the seeds: a page for every file that has rules of its own, named after it.

Each page's `problems` yields what breaks its rules, row by row. `rows` has what must hold whatever the file, `overlaps`
what several pages ask about two rows. Does not belong here: what one cell may read (`values`), or reading a file.
"""
