"""`python -m audit` is the `assay` command."""

from audit.cli.main import main

raise SystemExit(main())
