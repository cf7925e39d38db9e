"""Models of other frameworks become functions of BMLang, one package for each file format."""
