"""Tests of `bmlang.tpulang`."""
