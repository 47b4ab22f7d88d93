"""`python -m posegen.cli`."""

from posegen.cli import main

if __name__ == "__main__":
    main()
