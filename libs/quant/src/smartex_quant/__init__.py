"""Pure numerics of risk and behaviour. No I/O, no clock, no global random numbers."""
