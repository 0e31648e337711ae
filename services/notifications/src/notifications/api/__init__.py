"""NotificationService: contract in, the parts of the service, contract out."""
