"""Live events from a Kübler Ants LES02 shaft copying system: CAN in, WebSocket out."""

__version__ = "0.1.0"
