"""`python -m eas_processor`: the same as the `eas-processor` command."""

from eas_processor.cli import main

main()
