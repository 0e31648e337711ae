"""Protobuf bytes to NumPy structured arrays and back, by compiled kernels."""
