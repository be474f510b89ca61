"""Figures that the project claims, as programs: `speed` here; results/ holds what they gave."""
