"""Instruments that are not there: what the listener hears from them, without the hardware."""
