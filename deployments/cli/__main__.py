"""`python -m deployments.cli` is `pg-runbooks`."""

from deployments.cli import main

if __name__ == "__main__":
    main()
