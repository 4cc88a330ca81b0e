"""``python -m dewy``."""

from dewy.cli import main

if __name__ == "__main__":
    main()
