"""One module for each dialect: translate in, call the service, translate out."""
