"""`python -m morton_pipeline.cli`."""

from morton_pipeline.cli import main

main()
