"""Local servers that speak the protocols of the push providers."""
