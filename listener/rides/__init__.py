"""Rides: found, measured, kept, compared. `wing` is the door; what computes is pure."""
