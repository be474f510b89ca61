"""Figures that the project claims, as programs; results/ holds what they gave."""
