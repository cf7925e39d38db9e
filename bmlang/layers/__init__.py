"""The operators of BMLang, one module per family, and what a layer is."""
