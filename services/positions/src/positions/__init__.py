"""The positions service: what every account holds, what it risks, and what to do about it."""
