"""What every service stands on: settings, logging, tracing, auth, health, errors, drain."""
