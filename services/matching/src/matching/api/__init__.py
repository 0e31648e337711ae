"""The gRPC servicers: contract in, commands to the sequencer, contract out."""
