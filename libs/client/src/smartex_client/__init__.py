"""The Python SDK and the smartex command."""
