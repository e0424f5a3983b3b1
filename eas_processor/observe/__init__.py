"""Logs, metrics and progress: the only importers of the libraries behind them."""
