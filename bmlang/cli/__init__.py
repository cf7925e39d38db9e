"""Command line tools: parsing of arguments and printing only."""
