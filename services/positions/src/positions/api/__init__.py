"""PositionService: contract in, domain call, contract out."""
