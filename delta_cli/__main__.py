"""`python -m delta_cli` is the program `delta`."""

from delta_cli.cli.entry import main

if __name__ == "__main__":
    main()
