"""Tests of the figures of a search."""
