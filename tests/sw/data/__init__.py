"""Tests of the click logs."""
