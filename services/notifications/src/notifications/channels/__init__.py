"""The providers' protocols, each behind `domain.sending.Channel`."""
