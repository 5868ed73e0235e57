"""Robots: commands out, telemetry in, nobody left moving."""
