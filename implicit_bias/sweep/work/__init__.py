"""Carrying a plan out: blocks dealt to devices, tiles written, what helps people along the way."""
